//! The op `div`.

use super::binary::Binary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `div`.
pub(super) const OP: Binary = Binary {
    name: "div",
    doc: "The quotient `a / b`; of integers rounded towards zero, and zero where b is zero (ONNX \
          `Div`, ATen `div.Tensor`).",
    takes: Takes::Numbers,
    gradients: [
        |g, n| g.div(n.dy, n.b),
        |g, n| {
            // In this order `a / a` gives both operands the same but for the sign.
            let product = g.mul(n.dy, n.y)?;
            let ratio = g.div(product, n.b)?;
            g.neg(ratio)
        },
    ],
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn operands_broadcast() {
        check("div")
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
