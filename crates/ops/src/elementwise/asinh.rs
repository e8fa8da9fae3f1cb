//! The op `asinh`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `asinh`.
pub(super) const OP: Unary = Unary {
    name: "asinh",
    doc: "The number whose hyperbolic sine is x (ONNX `Asinh`, ATen `asinh`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let square = b.call("square", &[x])?;
        let more = b.offset(square, 1.0)?;
        let slope = b.call("rsqrt", &[more])?;
        b.mul(dy, slope)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("asinh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("asinh", "?[*]", Attrs::new()), "?[*]");
        assert!(error("asinh", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("asinh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
