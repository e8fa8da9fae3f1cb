//! Activations that are x above zero and something times a parameter below it: what is the same of
//! all of them.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Expand, Gradient, GradientError, GraphBuilder, Infer, Op, Operand, TensorType,
    TypeError, Types, Value, Values,
};

use super::activation::Parts;
use crate::emit::Emit;
use crate::infer::{Takes, broadcast_all};

/// An op of this form; see [`Op`].
pub(super) struct Bent {
    pub name: &'static str,
    pub doc: &'static str,
    /// x and the parameter.
    pub operands: &'static [Operand],
    /// The op that is the gradient in x.
    pub grad: &'static str,
    /// What the parameter is multiplied with, from x where it is not above zero.
    pub below: fn(&mut GraphBuilder, Value) -> Result<Value, BuildError>,
    pub parts: Parts,
}

impl Op for Bent {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        self.operands
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
        let shape = broadcast_all(cx, 0..2)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[]")
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        let (x, parameter) = (cx.operands[0], cx.operands[1]);
        if cx.wants(0) {
            let whole = cx.b.call(self.grad, &[x, parameter, dy])?;
            let dx = cx.b.sum_to_like(whole, x)?;
            cx.give(0, dx);
        }
        if cx.wants(1) {
            // Where x is above zero, the part below is zero and so is its share of the gradient.
            let (_, negative) = negative_part(cx.b, x)?;
            let slope = (self.below)(cx.b, negative)?;
            let whole = cx.b.mul(dy, slope)?;
            let gradient = cx.b.sum_to_like(whole, parameter)?;
            cx.give(1, gradient);
        }
        Ok(())
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((self.parts)(cx.b, cx.operands).map(|v| smallvec![v]))
    }
}

/// Where x is above zero, and x there replaced by zero.
pub(super) fn negative_part(b: &mut GraphBuilder, x: Value) -> Result<(Value, Value), BuildError> {
    let zero = b.number_like(x, 0.0)?;
    let on = b.call("gt", &[x, zero])?;
    Ok((on, b.select(on, zero, x)?))
}
