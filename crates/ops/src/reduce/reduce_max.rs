//! The op `reduce_max`.

use super::fold::{Fold, among_ties};
use crate::infer::Takes;

/// The op `reduce_max`.
pub(super) const OP: Fold = Fold {
    name: "reduce_max",
    doc: "The largest element over axes, NaN where there is one; equal ones share the gradient \
          (ONNX `ReduceMax`, ATen `amax`).",
    takes: Takes::Numbers,
    empty: false,
    rule: among_ties,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn axes_are_reduced() {
        check("reduce_max")
            .gives("f32[n, 4, 3] {axes=[0, -1]}", "f32[4]")
            .gives("f32[n, 4, 3] {axes=[0, -1], keep=true}", "f32[1, 4, 1]")
            .gives("f32[n, 4, 3]", "f32[]")
            .gives("f32[*]", "f32[]")
            .gives("f32[*] {axes=[0]}", "f32[*]")
            .refuses("f32[n, 4, 3] {axes=[3]}", "outside a rank of 3")
            .refuses("f32[n, 4] {axes=[1, -1]}", "named twice")
            .refuses("bool[4]", "not bool")
            .refuses("f32[2, 0] {axes=[1]}", "must have elements")
            .gives("f32[2, 0] {axes=[0]}", "f32[0]")
            .gives("i64[2]", "i64[]")
            .differentiates("f32[n, 4, 3]")
            .differentiates("f32[n, 4, 3] {axes=[-1, 0]}")
            .differentiates("f32[n, 4, 3] {axes=[1], keep=true}")
            .differentiates("f32[n, 4, 3] {axes=[]}")
            .flops("f32[2, 3] {axes=[1]}", 6);
    }
}
