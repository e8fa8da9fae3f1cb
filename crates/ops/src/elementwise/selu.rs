//! The op `selu`.

use super::activation::{Activation, X};
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `selu`.
pub(super) const OP: Activation = Activation {
    name: "selu",
    doc: "The self-normalising unit: `scale * x` above zero, else `scale * alpha * (exp(x) - 1)`, \
          with alpha 1.6733 and scale 1.0507 (ONNX `Selu`, ATen `selu`).",
    operands: X,
    takes: Takes::Floats,
    example: "f32[2, 3]",
    parts: |b, operands| {
        const ALPHA: f64 = 1.673_263_242_354_377_2;
        const SCALE: f64 = 1.050_700_987_355_480_5;
        let x = operands[0];
        let zero = b.number_like(x, 0.0)?;
        let on = b.call("gt", &[x, zero])?;
        let above = b.scale(x, SCALE)?;
        let negative = b.select(on, zero, x)?;
        let power = b.call("expm1", &[negative])?;
        let below = b.scale(power, ALPHA * SCALE)?;
        b.select(on, above, below)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("selu")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .decomposes("f32[n, 4, 3]")
            .flops("f32[2, 3]", 6);
    }
}
