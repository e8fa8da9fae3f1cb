//! The op `mean`.

use super::count;
use super::fold::Fold;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `mean`.
pub(super) const OP: Fold = Fold {
    name: "mean",
    doc: "The mean over axes; of nothing NaN (ONNX `ReduceMean`, ATen `mean.dim`).",
    takes: Takes::Floats,
    empty: true,
    rule: |cx, dy| {
        let count = count(cx.b, cx.operands[0], cx.attrs)?;
        let share = cx.b.div(dy, count)?;
        cx.b.expand_like(share, cx.operands[0])
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn axes_are_reduced() {
        check("mean")
            .gives("f32[n, 4, 3] {axes=[0, -1]}", "f32[4]")
            .gives("f32[n, 4, 3] {axes=[0, -1], keep=true}", "f32[1, 4, 1]")
            .gives("f32[n, 4, 3]", "f32[]")
            .gives("f32[*]", "f32[]")
            .gives("f32[*] {axes=[0]}", "f32[*]")
            .refuses("f32[n, 4, 3] {axes=[3]}", "outside a rank of 3")
            .refuses("f32[n, 4] {axes=[1, -1]}", "named twice")
            .refuses("bool[4]", "not bool")
            .gives("f32[2, 0] {axes=[1]}", "f32[2]")
            .refuses("i64[2]", "must be a float")
            .differentiates("f32[n, 4, 3]")
            .differentiates("f32[n, 4, 3] {axes=[-1, 0]}")
            .differentiates("f32[n, 4, 3] {axes=[1], keep=true}")
            .differentiates("f32[n, 4, 3] {axes=[]}")
            .flops("f32[2, 3] {axes=[1]}", 6);
    }
}
