//! The op `exp`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `exp`.
pub(super) const OP: Unary = Unary {
    name: "exp",
    doc: "The exponential (ONNX `Exp`, ATen `exp`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| b.mul(dy, y)),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("exp")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
