//! The op `neg`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `neg`.
pub(super) const OP: Unary = Unary {
    name: "neg",
    doc: "The negative, `-x` (ONNX `Neg`, ATen `neg`).",
    takes: Takes::Numbers,
    gradient: Some(|b, _, _, dy| b.neg(dy)),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("neg")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("bool[4]", "a float or an integer, not bool")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
