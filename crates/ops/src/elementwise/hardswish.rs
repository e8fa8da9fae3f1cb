//! The op `hardswish`.

use super::activation::{Activation, X};
use super::relu6::relu6;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `hardswish`.
pub(super) const OP: Activation = Activation {
    name: "hardswish",
    doc: "`x * relu6(x + 3) / 6` (ONNX `HardSwish`, ATen `hardswish`).",
    operands: X,
    takes: Takes::Floats,
    example: "f32[2, 3]",
    parts: |b, operands| {
        let moved = b.offset(operands[0], 3.0)?;
        let bounded = relu6(b, moved)?;
        let product = b.mul(operands[0], bounded)?;
        let six = b.number_like(product, 6.0)?;
        b.div(product, six)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("hardswish")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .decomposes("f32[n, 4, 3]")
            .flops("f32[2, 3]", 6);
    }
}
