//! The op `acosh`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `acosh`.
pub(super) const OP: Unary = Unary {
    name: "acosh",
    doc: "The number, not negative, whose hyperbolic cosine is x; NaN below 1 (ONNX `Acosh`, ATen `acosh`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let square = b.call("square", &[x])?;
        let less = b.offset(square, -1.0)?;
        let slope = b.call("rsqrt", &[less])?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("acosh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("acosh", "?[*]", Attrs::new()), "?[*]");
        assert!(error("acosh", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("acosh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
