//! The op `logsigmoid`.

use super::activation::{Activation, X};
use super::softplus::softplus;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `logsigmoid`.
pub(super) const OP: Activation = Activation {
    name: "logsigmoid",
    doc: "The logarithm of the sigmoid (ATen `log_sigmoid`).",
    operands: X,
    takes: Takes::Floats,
    example: "f32[2, 3]",
    parts: |b, operands| {
        let negative = b.neg(operands[0])?;
        let soft = softplus(b, negative)?;
        b.neg(soft)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("logsigmoid")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .decomposes("f32[n, 4, 3]")
            .flops("f32[2, 3]", 6);
    }
}
