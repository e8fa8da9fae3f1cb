//! The op `log1p`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `log1p`.
pub(super) const OP: Unary = Unary {
    name: "log1p",
    doc: "The natural logarithm of one more, exact near zero (ATen `log1p`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let more = b.offset(x, 1.0)?;
        b.div(dy, more)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("log1p")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
