//! The op `mish`.

use super::activation::{Activation, X};
use super::softplus::softplus;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `mish`.
pub(super) const OP: Activation = Activation {
    name: "mish",
    doc: "The element times the tanh of its softplus (ONNX `Mish`, ATen `mish`).",
    operands: X,
    takes: Takes::Floats,
    example: "f32[2, 3]",
    parts: |b, operands| {
        let soft = softplus(b, operands[0])?;
        let gate = b.call("tanh", &[soft])?;
        b.mul(operands[0], gate)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("mish")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .decomposes("f32[n, 4, 3]")
            .flops("f32[2, 3]", 6);
    }
}
