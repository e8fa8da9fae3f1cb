//! The op `expm1`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `expm1`.
pub(super) const OP: Unary = Unary {
    name: "expm1",
    doc: "The exponential less one, exact near zero (ATen `expm1`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| {
        let slope = b.offset(y, 1.0)?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("expm1")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
