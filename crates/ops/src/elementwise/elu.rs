//! The op `elu` and its gradient.

use syncarp_ir::Operand;

use super::bent::{Bent, negative_part};
use super::slope::Slope;
use crate::emit::Emit;

/// The op `elu`.
pub(super) const OP: Bent = Bent {
    name: "elu",
    doc: "The element where it is above zero, else `alpha * (exp(x) - 1)`; operands broadcast \
         (ONNX `Elu`, ATen `elu`).",
    operands: &[Operand::one("x"), Operand::one("alpha")],
    grad: "elu_grad",
    below: |b, x| b.call("expm1", &[x]),
    parts: |b, n| {
        let (x, alpha) = (n[0], n[1]);
        let (on, negative) = negative_part(b, x)?;
        let power = b.call("expm1", &[negative])?;
        let below = b.mul(alpha, power)?;
        b.select(on, x, below)
    },
};

/// The op `elu_grad`.
pub(super) const GRAD: Slope = Slope {
    name: "elu_grad",
    doc: "The gradient of `elu` in x: dy where x is above zero, else `dy * alpha * exp(x)`; \
          operands broadcast (ATen `elu_backward`).",
    operands: &[Operand::one("x"), Operand::one("alpha"), Operand::one("dy")],
    broadcasts: true,
    parts: |b, n| {
        let zero = b.number_like(n[0], 0.0)?;
        let on = b.call("gt", &[n[0], zero])?;
        let below = b.select(on, zero, n[0])?;
        let power = b.call("exp", &[below])?;
        let scaled = b.mul(n[2], n[1])?;
        let slope = b.mul(scaled, power)?;
        b.select(on, n[2], slope)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn operands_broadcast() {
        check("elu")
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
        check("elu_grad")
            .gives("f32[n, 4], f32[], f32[n, 4]", "f32[n, 4]")
            .decomposes("f32[n, 4], f32[], f32[n, 4]")
            .refuses("f32[n, 4], f64[], f32[n, 4]", "f64")
            .flops("f32[2, 3], f32[], f32[2, 3]", 6);
    }
}
