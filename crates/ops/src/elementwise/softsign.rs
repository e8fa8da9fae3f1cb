//! The op `softsign`.

use super::activation::{Activation, X};
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `softsign`.
pub(super) const OP: Activation = Activation {
    name: "softsign",
    doc: "`x / (1 + |x|)` (ONNX `Softsign`, ATen `softsign`).",
    operands: X,
    takes: Takes::Floats,
    example: "f32[2, 3]",
    parts: |b, operands| {
        let magnitude = b.call("abs", &[operands[0]])?;
        let more = b.offset(magnitude, 1.0)?;
        b.div(operands[0], more)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("softsign")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .decomposes("f32[n, 4, 3]")
            .flops("f32[2, 3]", 6);
    }
}
