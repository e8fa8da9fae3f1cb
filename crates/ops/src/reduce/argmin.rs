//! Where the smallest element is.

use syncarp_ir::{AttrSpec, Infer, Op, Operand, TensorType, TypeError, Types};

use super::argmax::Argmax;

/// The op `argmin`.
pub(super) struct Argmin;

impl Op for Argmin {
    fn name(&self) -> &'static str {
        "argmin"
    }

    fn doc(&self) -> &'static str {
        "The place of the smallest element on an axis, the first or the last of equal ones; NaN \
         counts as smallest (ONNX `ArgMin`, ATen `argmin`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        Argmax.attributes()
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axis=1}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Argmax.infer(cx)
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        Argmax.flops(cx, results)
    }

    fn is_constant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, results};

    #[test]
    fn the_axis_goes_or_stays_as_one() {
        let along = |axis: i64| Attrs::new().with("axis", axis);
        assert_eq!(results("argmin", "f32[n, 4]", along(-1)), "i64[n]");
        let kept = along(0).with("keep", true).with("last", true);
        assert_eq!(results("argmin", "u8[n, 4]", kept), "i64[1, 4]");
        assert_eq!(results("argmin", "?[*]", along(0)), "i64[*]");
        assert!(error("argmin", "f32[3, 0]", along(1)).contains("must have elements"));
        assert!(error("argmin", "f32[3]", along(1)).contains("outside a rank"));
    }
}
