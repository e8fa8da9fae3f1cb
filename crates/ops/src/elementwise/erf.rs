//! The op `erf`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `erf`.
pub(super) const OP: Unary = Unary {
    name: "erf",
    doc: "The error function (ONNX `Erf`, ATen `erf`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let square = b.call("square", &[x])?;
        let exponent = b.neg(square)?;
        let bell = b.call("exp", &[exponent])?;
        let slope = b.scale(bell, std::f64::consts::FRAC_2_SQRT_PI)?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("erf")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
