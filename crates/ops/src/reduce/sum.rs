//! The op `sum`.

use super::fold::Fold;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `sum`.
pub(super) const OP: Fold = Fold {
    name: "sum",
    doc: "The sum over axes (ONNX `ReduceSum`, ATen `sum.dim_IntList`).",
    takes: Takes::Numbers,
    empty: true,
    rule: |cx, dy| cx.b.expand_like(dy, cx.operands[0]),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn axes_are_reduced() {
        check("sum")
            .gives("f32[n, 4, 3] {axes=[0, -1]}", "f32[4]")
            .gives("f32[n, 4, 3] {axes=[0, -1], keep=true}", "f32[1, 4, 1]")
            .gives("f32[n, 4, 3]", "f32[]")
            .gives("f32[*]", "f32[]")
            .gives("f32[*] {axes=[0]}", "f32[*]")
            .refuses("f32[n, 4, 3] {axes=[3]}", "outside a rank of 3")
            .refuses("f32[n, 4] {axes=[1, -1]}", "named twice")
            .refuses("bool[4]", "not bool")
            .gives("f32[2, 0] {axes=[1]}", "f32[2]")
            .gives("i64[2]", "i64[]")
            .differentiates("f32[n, 4, 3]")
            .differentiates("f32[n, 4, 3] {axes=[-1, 0]}")
            .differentiates("f32[n, 4, 3] {axes=[1], keep=true}")
            .differentiates("f32[n, 4, 3] {axes=[]}")
            .flops("f32[2, 3] {axes=[1]}", 6);
    }
}
