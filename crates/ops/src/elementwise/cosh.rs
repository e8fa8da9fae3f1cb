//! The op `cosh`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `cosh`.
pub(super) const OP: Unary = Unary {
    name: "cosh",
    doc: "The hyperbolic cosine (ONNX `Cosh`, ATen `cosh`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let slope = b.call("sinh", &[x])?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("cosh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("cosh", "?[*]", Attrs::new()), "?[*]");
        assert!(error("cosh", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("cosh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
