//! What the tests of this folder need beside a node typed alone.

use syncarp_ir::{Attrs, Gradient, Model, TensorType};

use crate::testing::inputs;

/// The types of the gradients of all operands where one arrives at the first result.
pub(super) fn gradients<const N: usize>(
    op: &str,
    types: &[TensorType; N],
    attrs: Attrs,
) -> [Option<TensorType>; N] {
    let (mut b, operands) = inputs(types);
    let results = b
        .emit(op, &operands, attrs.clone())
        .expect("the node types");
    let y = b.ty(results[0]).clone();
    let dy = Attrs::new()
        .with("model", Model::new(0))
        .with("name", "dy")
        .with("dtype", y.dtype.expect("known"))
        .with("dims", y.dims().expect("known"));
    let dy = b.emit1("input", &[], dy).expect("an input types");
    let mut arrived = vec![None; results.len()];
    arrived[0] = Some(dy);
    let mut given = [None; N];
    let registry = crate::standard();
    let id = registry.find(op).expect("the op is there");
    let mut cx = Gradient {
        b: &mut b,
        attrs: &attrs,
        operands: &operands,
        results: &results,
        arrived: &arrived,
        wanted: &[true; N],
        given: &mut given,
    };
    registry.op(id).gradient(&mut cx).expect("there is a rule");
    given.map(|g| g.map(|g| b.ty(g).clone()))
}
