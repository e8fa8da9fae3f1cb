//! The op `reciprocal`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `reciprocal`.
pub(super) const OP: Unary = Unary {
    name: "reciprocal",
    doc: "One by the element (ONNX `Reciprocal`, ATen `reciprocal`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| {
        let square = b.call("square", &[y])?;
        let product = b.mul(dy, square)?;
        b.neg(product)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("reciprocal")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
