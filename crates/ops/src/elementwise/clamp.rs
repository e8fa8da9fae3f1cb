//! The op `clamp`.

use syncarp_ir::{BuildError, GraphBuilder, Value};

use super::activation::{Activation, BOUNDED};
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `clamp`.
pub(super) const OP: Activation = Activation {
    name: "clamp",
    doc: "The element, at least low and at most high; where it is at a bound or outside, the bound \
          gets the gradient. Operands broadcast (ONNX `Clip`, ATen `clamp`).",
    operands: BOUNDED,
    takes: Takes::Numbers,
    example: "f32[2, 3], f32[], f32[]",
    parts: |b, operands| bounded(b, operands[0], operands[1], operands[2]),
};

/// `x` within bounds.
pub(super) fn bounded(
    b: &mut GraphBuilder,
    x: Value,
    low: Value,
    high: Value,
) -> Result<Value, BuildError> {
    let below = b.call("le", &[x, low])?;
    let raised = b.select(below, low, x)?;
    // What was raised is compared again, so that of crossed bounds the upper one holds.
    let above = b.call("ge", &[raised, high])?;
    b.select(above, high, raised)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("clamp")
            .gives("f32[n, 4], f32[], f32[4]", "f32[n, 4]")
            .refuses("f32[n], f32[]", "expected operands (x, low, high)")
            .decomposes("i64[n], i64[], i64[]")
            .refuses("f32[n], f64[], f32[]", "f64")
            .decomposes("f32[n, 4], f32[], f32[4]")
            .flops("f32[2, 3], f32[], f32[]", 6);
    }
}
