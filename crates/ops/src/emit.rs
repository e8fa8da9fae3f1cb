//! Short forms of what gradient rules and decompositions emit again and again.

use syncarp_ir::{Attrs, BuildError, DType, GraphBuilder, Shape, Value};

/// Short forms for emitting standard ops.
///
/// Every method fails where the emitted node does not type. Methods that write a shape or a dtype
/// down also fail where it is not known yet: gradients and decompositions need bound inputs.
pub trait Emit {
    /// Emits an op of one result without attributes.
    ///
    /// # Errors
    /// Where the node does not type.
    fn call(&mut self, op: &str, operands: &[Value]) -> Result<Value, BuildError>;

    /// Emits an op of one result with attributes.
    ///
    /// # Errors
    /// Where the node does not type.
    fn call_with(
        &mut self,
        op: &str,
        operands: &[Value],
        attrs: Attrs,
    ) -> Result<Value, BuildError>;

    /// The dtype of a value.
    ///
    /// # Errors
    /// Where it is unknown.
    fn dtype_of(&self, value: Value) -> Result<DType, BuildError>;

    /// The dims of a value.
    ///
    /// # Errors
    /// Where its rank is unknown.
    fn dims_of(&self, value: Value) -> Result<Shape, BuildError>;

    /// A scalar constant of the dtype of `like`.
    ///
    /// # Errors
    /// Where that dtype is unknown.
    fn number_like(&mut self, like: Value, number: f64) -> Result<Value, BuildError>;

    /// `value` with the dims of `like`, as many elements (`reshape`); itself where it has them.
    ///
    /// # Errors
    /// Where the dims of `like` are unknown or do not fit.
    fn reshape_like(&mut self, value: Value, like: Value) -> Result<Value, BuildError>;

    /// `value` with these dims, as many elements (`reshape`); itself where it has them.
    ///
    /// # Errors
    /// Where they do not fit.
    fn reshape_to(&mut self, value: Value, dims: &Shape) -> Result<Value, BuildError>;

    /// `value` broadcast to the dims of `like` (`expand`); itself where it has them.
    ///
    /// # Errors
    /// Where the dims of `like` are unknown or do not fit.
    fn expand_like(&mut self, value: Value, like: Value) -> Result<Value, BuildError>;

    /// `gradient` summed down to the dims of `operand`, which was broadcast (`sum_to`); itself
    /// where it has them.
    ///
    /// # Errors
    /// Where the dims of `operand` are unknown or do not fit.
    fn sum_to_like(&mut self, gradient: Value, operand: Value) -> Result<Value, BuildError>;

    /// `value` with its dims permuted (`transpose`).
    ///
    /// # Errors
    /// Where `permutation` is none of the value's rank.
    fn transpose(&mut self, value: Value, permutation: &[usize]) -> Result<Value, BuildError>;

    /// The sum over some axes (`sum`), which stay with size 1 where `keep` holds.
    ///
    /// # Errors
    /// Where an axis lies outside the rank.
    fn sum(&mut self, value: Value, axes: &[i64], keep: bool) -> Result<Value, BuildError>;

    /// `a + b`, broadcasting.
    ///
    /// # Errors
    /// Where the node does not type.
    fn add(&mut self, a: Value, b: Value) -> Result<Value, BuildError> {
        self.call("add", &[a, b])
    }

    /// `a - b`, broadcasting.
    ///
    /// # Errors
    /// Where the node does not type.
    fn sub(&mut self, a: Value, b: Value) -> Result<Value, BuildError> {
        self.call("sub", &[a, b])
    }

    /// `a * b`, broadcasting.
    ///
    /// # Errors
    /// Where the node does not type.
    fn mul(&mut self, a: Value, b: Value) -> Result<Value, BuildError> {
        self.call("mul", &[a, b])
    }

    /// `a / b`, broadcasting.
    ///
    /// # Errors
    /// Where the node does not type.
    fn div(&mut self, a: Value, b: Value) -> Result<Value, BuildError> {
        self.call("div", &[a, b])
    }

    /// `-a`.
    ///
    /// # Errors
    /// Where the node does not type.
    fn neg(&mut self, a: Value) -> Result<Value, BuildError> {
        self.call("neg", &[a])
    }

    /// `a * number`.
    ///
    /// # Errors
    /// Where the dtype of `a` is unknown.
    fn scale(&mut self, a: Value, number: f64) -> Result<Value, BuildError> {
        let number = self.number_like(a, number)?;
        self.mul(a, number)
    }

    /// `a + number`.
    ///
    /// # Errors
    /// Where the dtype of `a` is unknown.
    fn offset(&mut self, a: Value, number: f64) -> Result<Value, BuildError> {
        let number = self.number_like(a, number)?;
        self.add(a, number)
    }

    /// Elements of `a` where `condition` holds, else of `b`, broadcasting.
    ///
    /// # Errors
    /// Where the node does not type.
    fn select(&mut self, condition: Value, a: Value, b: Value) -> Result<Value, BuildError> {
        self.call("where", &[condition, a, b])
    }
}

fn unbound(what: &str) -> BuildError {
    BuildError::Invalid {
        op: "constant".to_owned(),
        message: format!("{what} must be known here; bind the graph's inputs first"),
    }
}

impl Emit for GraphBuilder {
    fn call(&mut self, op: &str, operands: &[Value]) -> Result<Value, BuildError> {
        self.emit1(op, operands, Attrs::new())
    }

    fn call_with(
        &mut self,
        op: &str,
        operands: &[Value],
        attrs: Attrs,
    ) -> Result<Value, BuildError> {
        self.emit1(op, operands, attrs)
    }

    fn dtype_of(&self, value: Value) -> Result<DType, BuildError> {
        let dtype = self.ty(value).dtype;
        dtype.ok_or_else(|| unbound(&format!("the dtype of {value}")))
    }

    fn dims_of(&self, value: Value) -> Result<Shape, BuildError> {
        let shape = self.ty(value).shape.clone();
        shape.ok_or_else(|| unbound(&format!("the rank of {value}")))
    }

    fn number_like(&mut self, like: Value, number: f64) -> Result<Value, BuildError> {
        let dtype = self.dtype_of(like)?;
        self.constant(dtype, number)
    }

    fn reshape_like(&mut self, value: Value, like: Value) -> Result<Value, BuildError> {
        let dims = self.dims_of(like)?;
        self.reshape_to(value, &dims)
    }

    fn reshape_to(&mut self, value: Value, dims: &Shape) -> Result<Value, BuildError> {
        if self.ty(value).dims() == Some(&dims[..]) {
            return Ok(value);
        }
        self.emit1("reshape", &[value], Attrs::new().with("dims", &dims[..]))
    }

    fn expand_like(&mut self, value: Value, like: Value) -> Result<Value, BuildError> {
        let dims = self.dims_of(like)?;
        if self.ty(value).dims() == Some(&dims[..]) {
            return Ok(value);
        }
        self.emit1("expand", &[value], Attrs::new().with("dims", &dims[..]))
    }

    fn sum_to_like(&mut self, gradient: Value, operand: Value) -> Result<Value, BuildError> {
        let dims = self.dims_of(operand)?;
        if self.ty(gradient).dims() == Some(&dims[..]) {
            return Ok(gradient);
        }
        self.emit1("sum_to", &[gradient], Attrs::new().with("dims", &dims[..]))
    }

    fn transpose(&mut self, value: Value, permutation: &[usize]) -> Result<Value, BuildError> {
        let permutation: Vec<i64> = permutation.iter().map(|p| *p as i64).collect();
        let attrs = Attrs::new().with("permutation", permutation);
        self.emit1("transpose", &[value], attrs)
    }

    fn sum(&mut self, value: Value, axes: &[i64], keep: bool) -> Result<Value, BuildError> {
        let attrs = Attrs::new().with("axes", axes).with("keep", keep);
        self.emit1("sum", &[value], attrs)
    }
}
