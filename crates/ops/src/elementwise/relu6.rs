//! The op `relu6`.

use syncarp_ir::{BuildError, GraphBuilder, Value};

use super::activation::{Activation, X};
use super::clamp::bounded;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `relu6`.
pub(super) const OP: Activation = Activation {
    name: "relu6",
    doc: "The element, at least 0 and at most 6 (ATen `relu6`).",
    operands: X,
    takes: Takes::Floats,
    example: "f32[2, 3]",
    parts: |b, operands| relu6(b, operands[0]),
};

/// `x` between 0 and 6.
pub(super) fn relu6(b: &mut GraphBuilder, x: Value) -> Result<Value, BuildError> {
    let low = b.number_like(x, 0.0)?;
    let high = b.number_like(x, 6.0)?;
    bounded(b, x, low, high)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("relu6")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .decomposes("f32[n, 4, 3]")
            .flops("f32[2, 3]", 6);
    }
}
