//! The op `leaky_relu` and its gradient.

use syncarp_ir::Operand;

use super::bent::Bent;
use super::slope::Slope;
use crate::emit::Emit;

/// The op `leaky_relu`.
pub(super) const OP: Bent = Bent {
    name: "leaky_relu",
    doc: "The element where it is above zero, else `slope * x`; operands broadcast \
         (ONNX `LeakyRelu`, ATen `leaky_relu`).",
    operands: &[Operand::one("x"), Operand::one("slope")],
    grad: "leaky_relu_grad",
    below: |_, x| Ok(x),
    parts: |b, n| {
        let (x, slope) = (n[0], n[1]);
        let zero = b.number_like(x, 0.0)?;
        let on = b.call("gt", &[x, zero])?;
        let below = b.mul(x, slope)?;
        b.select(on, x, below)
    },
};

/// The op `leaky_relu_grad`.
pub(super) const GRAD: Slope = Slope {
    name: "leaky_relu_grad",
    doc: "The gradient of `leaky_relu` in x: dy where x is above zero, else `dy * slope`; operands \
          broadcast (ATen `leaky_relu_backward`).",
    operands: &[Operand::one("x"), Operand::one("slope"), Operand::one("dy")],
    broadcasts: true,
    parts: |b, n| {
        let zero = b.number_like(n[0], 0.0)?;
        let on = b.call("gt", &[n[0], zero])?;
        let below = b.mul(n[2], n[1])?;
        b.select(on, n[2], below)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn operands_broadcast() {
        check("leaky_relu")
            .gives("f32[n, 1, 4], f32[3, 1]", "f32[n, 3, 4]")
            .gives("?[*], f32[]", "f32[*]")
            .refuses("f32[n], f32[3]", "do not broadcast")
            .refuses("f32[3], f64[3]", "f64")
            .differentiates("f32[n, 1, 4], f32[3, 1]")
            .differentiates("f32[n, 4], f32[]")
            .decomposes("f32[n, 4], f32[]")
            .flops("f32[2, 3], f32[]", 6);
    }

    #[test]
    fn the_gradient_broadcasts() {
        check("leaky_relu_grad")
            .gives("f32[n, 4], f32[], f32[n, 4]", "f32[n, 4]")
            .decomposes("f32[n, 4], f32[], f32[n, 4]")
            .refuses("f32[n, 4], f64[], f32[n, 4]", "f64")
            .flops("f32[2, 3], f32[], f32[2, 3]", 6);
    }
}
