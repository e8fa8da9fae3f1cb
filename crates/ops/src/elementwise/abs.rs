//! The op `abs`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `abs`.
pub(super) const OP: Unary = Unary {
    name: "abs",
    doc: "The magnitude, `|x|`; its slope at zero is taken as zero (ONNX `Abs`, ATen `abs`).",
    takes: Takes::Numbers,
    gradient: Some(|b, x, _, dy| {
        let sign = b.call("sign", &[x])?;
        b.mul(dy, sign)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("abs")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("bool[4]", "a float or an integer, not bool")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
