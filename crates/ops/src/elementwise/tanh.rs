//! The op `tanh` and its gradient.

use syncarp_ir::Operand;

use super::slope::Slope;
use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `tanh`.
pub(super) const OP: Unary = Unary {
    name: "tanh",
    doc: "The hyperbolic tangent (ONNX `Tanh`, ATen `tanh`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| b.call("tanh_grad", &[y, dy])),
};

/// The op `tanh_grad`.
pub(super) const GRAD: Slope = Slope {
    name: "tanh_grad",
    doc: "The gradient of `tanh`: `dy * (1 - y * y)` (ATen `tanh_backward`).",
    operands: &[Operand::one("y"), Operand::one("dy")],
    broadcasts: false,
    parts: |b, n| {
        let square = b.call("square", &[n[0]])?;
        let one = b.number_like(square, 1.0)?;
        let slope = b.sub(one, square)?;
        b.mul(n[1], slope)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("tanh")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }

    #[test]
    fn the_gradient_has_the_type_of_its_operands() {
        check("tanh_grad")
            .gives("f32[n, 4], f32[n, 4]", "f32[n, 4]")
            .decomposes("f32[n, 4], f32[n, 4]")
            .refuses("f32[n, 4], f32[4]", "has dims")
            .refuses("i64[4], i64[4]", "must be a float")
            .flops("f32[2, 3], f32[2, 3]", 6);
    }
}
