//! The op `atan`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `atan`.
pub(super) const OP: Unary = Unary {
    name: "atan",
    doc: "The angle in radians from -pi/2 to pi/2 whose tangent is x (ONNX `Atan`, ATen `atan`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let square = b.call("square", &[x])?;
        let divisor = b.offset(square, 1.0)?;
        b.div(dy, divisor)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("atan", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("atan", "?[*]", Attrs::new()), "?[*]");
        assert!(error("atan", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("atan", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
