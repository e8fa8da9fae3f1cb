//! The op `sigmoid` and its gradient.

use syncarp_ir::Operand;

use super::slope::Slope;
use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `sigmoid`.
pub(super) const OP: Unary = Unary {
    name: "sigmoid",
    doc: "The logistic function, `1 / (1 + exp(-x))` (ONNX `Sigmoid`, ATen `sigmoid`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| b.call("sigmoid_grad", &[y, dy])),
};

/// The op `sigmoid_grad`.
pub(super) const GRAD: Slope = Slope {
    name: "sigmoid_grad",
    doc: "The gradient of `sigmoid`: `dy * (1 - y) * y` (ATen `sigmoid_backward`).",
    operands: &[Operand::one("y"), Operand::one("dy")],
    broadcasts: false,
    parts: |b, n| {
        let one = b.number_like(n[0], 1.0)?;
        let rest = b.sub(one, n[0])?;
        let product = b.mul(n[1], rest)?;
        b.mul(product, n[0])
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("sigmoid")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }

    #[test]
    fn the_gradient_has_the_type_of_its_operands() {
        check("sigmoid_grad")
            .gives("f32[n, 4], f32[n, 4]", "f32[n, 4]")
            .decomposes("f32[n, 4], f32[n, 4]")
            .refuses("f32[n, 4], f32[4]", "has dims")
            .refuses("i64[4], i64[4]", "must be a float")
            .flops("f32[2, 3], f32[2, 3]", 6);
    }
}
