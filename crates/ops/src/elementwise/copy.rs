//! The op `copy`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `copy`.
pub(super) const OP: Unary = Unary {
    name: "copy",
    doc: "The operand itself, in memory of its own: what carries a value from device to device \
          (ONNX `Identity`, ATen `clone`).",
    takes: Takes::All,
    gradient: Some(|b, _, _, dy| b.call("copy", &[dy])),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("copy")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .gives("bool[4]", "bool[4]")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
