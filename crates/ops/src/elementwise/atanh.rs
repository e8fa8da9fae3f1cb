//! The op `atanh`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `atanh`.
pub(super) const OP: Unary = Unary {
    name: "atanh",
    doc: "The number whose hyperbolic tangent is x; NaN outside [-1, 1] (ONNX `Atanh`, ATen `atanh`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| {
        let square = b.call("square", &[x])?;
        let negative = b.neg(square)?;
        let rest = b.offset(negative, 1.0)?;
        b.div(dy, rest)
    }),
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("atanh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("atanh", "?[*]", Attrs::new()), "?[*]");
        assert!(error("atanh", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("atanh", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
    }
}
