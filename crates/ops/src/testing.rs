//! What the tests of single ops need: a node typed alone.

use std::sync::Arc;

use syncarp_ir::{
    Attrs, BuildError, Differentiable, Dim, Example, GraphBuilder, Model, OpId, OpRegistry, Sheet,
    TensorType, Value, Values,
};

/// Dims written with commas; what is no number is a symbol.
pub(crate) fn dims(text: &str) -> Vec<Dim> {
    let parts = text.split(',').filter(|p| !p.is_empty());
    parts
        .map(|p| p.parse::<u64>().map_or_else(|_| Dim::symbol(p), Dim::from))
        .collect()
}

/// A builder over the standard ops with inputs of these types.
pub(crate) fn inputs(types: &[TensorType]) -> (GraphBuilder, Vec<Value>) {
    let mut b = GraphBuilder::new(Arc::new(crate::standard()));
    let mut values = Vec::new();
    for (index, ty) in types.iter().enumerate() {
        let name = format!("x{index}");
        let mut attrs = Attrs::new()
            .with("model", Model::new(0))
            .with("name", name.as_str());
        if let Some(dtype) = ty.dtype {
            attrs.set("dtype", dtype);
        }
        if let Some(dims) = ty.dims() {
            attrs.set("dims", dims);
        }
        values.push(b.emit1("input", &[], attrs).expect("an input types"));
    }
    (b, values)
}

fn emit(op: &str, types: &[TensorType], attrs: Attrs) -> Result<TensorType, BuildError> {
    let (mut b, values) = inputs(types);
    let results: Values = b.emit(op, &values, attrs)?;
    Ok(b.ty(results[0]).clone())
}

/// The type of an op's first result.
pub(crate) fn type_of(op: &str, types: &[TensorType], attrs: Attrs) -> TensorType {
    emit(op, types, attrs).expect("the node types")
}

/// The message of an op that must not type.
pub(crate) fn error_of(op: &str, types: &[TensorType], attrs: Attrs) -> String {
    emit(op, types, attrs)
        .expect_err("the node must not type")
        .to_string()
}

/// The text of the op's decomposition, or of its gradients, as names of ops in order.
pub(crate) fn decomposed(op: &str, types: &[TensorType], attrs: Attrs) -> GraphBuilder {
    let registry: Arc<OpRegistry> = Arc::new(crate::standard());
    let (mut b, operands) = inputs(types);
    let results = b
        .emit(op, &operands, attrs.clone())
        .expect("the node types");
    let types: Vec<TensorType> = results.iter().map(|v| b.ty(*v).clone()).collect();
    let id = registry.find(op).expect("the op is there");
    let mut cx = syncarp_ir::Expand {
        b: &mut b,
        attrs: &attrs,
        operands: &operands,
        types: &types,
    };
    let parts = registry
        .op(id)
        .decompose(&mut cx)
        .expect("it has parts")
        .expect("they type");
    for (part, ty) in parts.iter().zip(&types) {
        assert_eq!(b.ty(*part), ty, "{op} and its parts differ in type");
    }
    b
}

/// The types of the gradients that an op's rule gives its operands, in order; unknown where it
/// gives none. Gradients of all float results arrive, and those of all float operands are wanted.
pub(crate) fn gradients(op: &str, types: &[TensorType], attrs: Attrs) -> Vec<TensorType> {
    let registry: Arc<OpRegistry> = Arc::new(crate::standard());
    let (mut b, operands) = inputs(types);
    let results = b
        .emit(op, &operands, attrs.clone())
        .expect("the node types");
    let is_float = |ty: &TensorType| ty.dtype.is_some_and(|d| d.is_float());
    // The results themselves stand for their gradients, which have the same types.
    let arrived: Vec<_> = results
        .iter()
        .map(|v| is_float(b.ty(*v)).then_some(*v))
        .collect();
    let wanted: Vec<bool> = types.iter().map(is_float).collect();
    let mut given = vec![None; types.len()];
    let id = registry.find(op).expect("the op is there");
    let mut cx = syncarp_ir::Gradient {
        b: &mut b,
        attrs: &attrs,
        operands: &operands,
        results: &results,
        arrived: &arrived,
        wanted: &wanted,
        given: &mut given,
    };
    registry.op(id).gradient(&mut cx).expect("the rule types");
    let ty = |v: &Option<Value>| v.map_or_else(TensorType::unknown, |v| b.ty(v).clone());
    given.iter().map(ty).collect()
}

/// An op whose tests begin; every node is written as [`syncarp_ir::Example`] reads it.
pub(crate) fn check(op: &'static str) -> Check {
    let ops = Arc::new(crate::standard());
    let id = ops.find(op).expect("the op is there");
    Check { op, ops, id }
}

/// What is said of one op.
pub(crate) struct Check {
    op: &'static str,
    ops: Arc<OpRegistry>,
    id: OpId,
}

impl Check {
    fn emit(&self, node: &str) -> Result<Vec<TensorType>, BuildError> {
        let example = Example::parse(node).expect("the node reads");
        let (mut b, values) = inputs(&example.operands);
        let results = b.emit(self.op, &values, example.attrs)?;
        Ok(results.iter().map(|v| b.ty(*v).clone()).collect())
    }

    fn sheet(&self, node: &str) -> Sheet {
        let example = Example::parse(node).expect("the node reads");
        Sheet::at(&self.ops, self.id, example).expect("the node works out")
    }

    /// The results have these types, listed by commas.
    #[track_caller]
    pub(crate) fn gives(self, node: &str, results: &str) -> Self {
        let types = self.emit(node).expect("the node types");
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        assert_eq!(types.join(", "), results, "{} {node}", self.op);
        self
    }

    /// The node does not type, and the message says why.
    #[track_caller]
    pub(crate) fn refuses(self, node: &str, why: &str) -> Self {
        let error = self.emit(node).expect_err("the node must not type");
        let error = error.to_string();
        assert!(error.contains(why), "{} {node}: {error}", self.op);
        self
    }

    /// A rule gives every float operand a gradient of its type, and no other operand one.
    #[track_caller]
    pub(crate) fn differentiates(self, node: &str) -> Self {
        let sheet = self.sheet(node);
        let gradient = sheet.gradient.expect("there is a rule");
        let float = |ty: &TensorType| ty.dtype.is_some_and(|d| d.is_float());
        let operands = sheet.example.operands.into_iter();
        let want: Vec<_> = operands.map(|ty| Some(ty).filter(float)).collect();
        assert_eq!(gradient.types, want, "{} {node}", self.op);
        self
    }

    /// No gradient passes.
    #[track_caller]
    pub(crate) fn stops(self, node: &str) -> Self {
        let stopped = self.sheet(node).differentiable;
        assert_eq!(stopped, Differentiable::Constant, "{} {node}", self.op);
        self
    }

    /// It is made of other ops, whose results have its results' types.
    #[track_caller]
    pub(crate) fn decomposes(self, node: &str) -> Self {
        let sheet = self.sheet(node);
        let parts = sheet.decomposition.expect("it has parts");
        let types: Vec<_> = parts.types.into_iter().flatten().collect();
        assert_eq!(types, sheet.results, "{} {node}", self.op);
        assert!(parts.ops.iter().all(|op| op != self.op), "{node}");
        self
    }

    /// One application takes this many floating-point operations.
    #[track_caller]
    pub(crate) fn flops(self, node: &str, flops: u64) -> Self {
        assert_eq!(self.sheet(node).flops, Some(flops), "{} {node}", self.op);
        self
    }

    /// One application reads and writes this many bytes.
    #[track_caller]
    pub(crate) fn bytes(self, node: &str, bytes: u64) -> Self {
        assert_eq!(self.sheet(node).bytes, Some(bytes), "{} {node}", self.op);
        self
    }
}
