//! The op `rsqrt`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `rsqrt`.
pub(super) const OP: Unary = Unary {
    name: "rsqrt",
    doc: "One by the square root (ATen `rsqrt`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| {
        let square = b.call("square", &[y])?;
        let cube = b.mul(square, y)?;
        let half = b.scale(dy, -0.5)?;
        b.mul(half, cube)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("rsqrt")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
