//! The op `relu` and its gradient.

use syncarp_ir::Operand;

use super::slope::Slope;
use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `relu`.
pub(super) const OP: Unary = Unary {
    name: "relu",
    doc: "The larger of x and zero; its slope at zero is zero (ONNX `Relu`, ATen `relu`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| b.call("relu_grad", &[y, dy])),
};

/// The op `relu_grad`.
pub(super) const GRAD: Slope = Slope {
    name: "relu_grad",
    doc: "The gradient of `relu`: dy where the result y is above zero, else zero (ATen \
          `threshold_backward`).",
    operands: &[Operand::one("y"), Operand::one("dy")],
    broadcasts: false,
    parts: |b, n| {
        let zero = b.number_like(n[0], 0.0)?;
        let off = b.call("le", &[n[0], zero])?;
        b.select(off, zero, n[1])
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("relu")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }

    #[test]
    fn the_gradient_has_the_type_of_its_operands() {
        check("relu_grad")
            .gives("f32[n, 4], f32[n, 4]", "f32[n, 4]")
            .decomposes("f32[n, 4], f32[n, 4]")
            .refuses("f32[n, 4], f32[4]", "has dims")
            .refuses("i64[4], i64[4]", "must be a float")
            .flops("f32[2, 3], f32[2, 3]", 6);
    }
}
