//! The op `sqrt`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `sqrt`.
pub(super) const OP: Unary = Unary {
    name: "sqrt",
    doc: "The square root (ONNX `Sqrt`, ATen `sqrt`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| {
        let twice = b.scale(y, 2.0)?;
        b.div(dy, twice)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("sqrt")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
