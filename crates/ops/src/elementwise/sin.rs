//! The op `sin`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `sin`.
pub(super) const OP: Unary = Unary {
    name: "sin",
    doc: "The sine of an angle in radians (ONNX `Sin`, ATen `sin`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let slope = b.call("cos", &[x])?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("sin")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
