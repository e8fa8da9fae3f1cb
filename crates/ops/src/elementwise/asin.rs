//! The op `asin`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `asin`.
pub(super) const OP: Unary = Unary {
    name: "asin",
    doc: "The angle in radians from -pi/2 to pi/2 whose sine is x; NaN outside [-1, 1] (ONNX `Asin`, ATen \
          `asin`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let square = b.call("square", &[x])?;
        let negative = b.neg(square)?;
        let rest = b.offset(negative, 1.0)?;
        let slope = b.call("rsqrt", &[rest])?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("asin", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("asin", "?[*]", Attrs::new()), "?[*]");
        assert!(error("asin", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("asin", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
