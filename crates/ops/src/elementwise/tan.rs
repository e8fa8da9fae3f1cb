//! The op `tan`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `tan`.
pub(super) const OP: Unary = Unary {
    name: "tan",
    doc: "The tangent of an angle in radians (ONNX `Tan`, ATen `tan`).",
    takes: Takes::Floats,
    gradient: Some(|b, _, y, dy| {
        let square = b.call("square", &[y])?;
        let slope = b.offset(square, 1.0)?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("tan", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("tan", "?[*]", Attrs::new()), "?[*]");
        assert!(error("tan", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("tan", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
