//! The op `maximum`.

use super::binary::{Binary, part_of_winner};
use crate::infer::Takes;

/// The op `maximum`.
pub(super) const OP: Binary = Binary {
    name: "maximum",
    doc: "The larger of a and b, NaN where one is; of equal ones each gets half the gradient (ONNX \
          `Max`, ATen `maximum`).",
    takes: Takes::Numbers,
    gradients: [
        |g, n| part_of_winner(g, "lt", n.a, n.b, n.dy),
        |g, n| part_of_winner(g, "lt", n.b, n.a, n.dy),
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn operands_broadcast() {
        check("maximum")
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
