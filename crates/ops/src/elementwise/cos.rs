//! The op `cos`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `cos`.
pub(super) const OP: Unary = Unary {
    name: "cos",
    doc: "The cosine of an angle in radians (ONNX `Cos`, ATen `cos`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let sine = b.call("sin", &[x])?;
        let product = b.mul(dy, sine)?;
        b.neg(product)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("cos")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
