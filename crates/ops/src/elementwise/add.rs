//! The op `add`.

use super::binary::Binary;
use crate::infer::Takes;

/// The op `add`.
pub(super) const OP: Binary = Binary {
    name: "add",
    doc: "The sum `a + b` (ONNX `Add`, ATen `add.Tensor`).",
    takes: Takes::Numbers,
    gradients: [|_, n| Ok(n.dy), |_, n| Ok(n.dy)],
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn operands_broadcast() {
        check("add")
            .gives("f32[n, 1, 4], f32[3, 1]", "f32[n, 3, 4]")
            .gives("?[*], f32[3]", "f32[*]")
            .refuses("f32[n], f32[3]", "do not broadcast")
            .refuses("f32[3], f64[3]", "f64")
            .refuses("bool[3], bool[3]", "not bool")
            .differentiates("f32[n, 1, 4], f32[3, 1]")
            .differentiates("f32[n, 4], f32[]")
            .flops("f32[2, 3], f32[]", 6);
    }
}
