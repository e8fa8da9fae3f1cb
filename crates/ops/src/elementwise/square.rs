//! The op `square`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `square`.
pub(super) const OP: Unary = Unary {
    name: "square",
    doc: "The square, `x * x` (ATen `square`).",
    takes: Takes::Numbers,
    gradient: Some(|b, x, _, dy| {
        let twice = b.scale(x, 2.0)?;
        b.mul(dy, twice)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("square")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("bool[4]", "a float or an integer, not bool")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
