//! The op `acos`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `acos`.
pub(super) const OP: Unary = Unary {
    name: "acos",
    doc: "The angle in radians from 0 to pi whose cosine is x; NaN outside [-1, 1] (ONNX `Acos`, ATen \
          `acos`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let square = b.call("square", &[x])?;
        let negative = b.neg(square)?;
        let rest = b.offset(negative, 1.0)?;
        let slope = b.call("rsqrt", &[rest])?;
        let product = b.mul(dy, slope)?;
        b.neg(product)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("acos", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("acos", "?[*]", Attrs::new()), "?[*]");
        assert!(error("acos", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("acos", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
