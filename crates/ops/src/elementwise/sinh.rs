//! The op `sinh`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `sinh`.
pub(super) const OP: Unary = Unary {
    name: "sinh",
    doc: "The hyperbolic sine (ONNX `Sinh`, ATen `sinh`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let slope = b.call("cosh", &[x])?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("sinh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("sinh", "?[*]", Attrs::new()), "?[*]");
        assert!(error("sinh", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("sinh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
