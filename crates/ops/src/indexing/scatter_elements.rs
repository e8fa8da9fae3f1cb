//! Elements put where an index says, one by one.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Attrs, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
};

use super::gather_elements::beside;
use super::reduction::{self, REDUCTION};
use super::{AXIS, agree};
use crate::expect::{integers, typed};

/// The op `scatter_elements`.
pub(super) struct ScatterElements;

impl Op for ScatterElements {
    fn name(&self) -> &'static str {
        "scatter_elements"
    }

    fn doc(&self) -> &'static str {
        "x with each element of updates put at its own place, but along one axis at the place \
         that an integer index says: x [a..., s, b...], index and updates of one shape [c..., \
         t, d...], whose dims away from the axis are no larger, give [a..., s, b...]. A \
         negative place counts from the end; an update of a place that is not there is dropped \
         (ONNX `ScatterElements`, ATen `scatter`, `scatter_add`, `scatter_reduce`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("x"),
                Operand::one("index"),
                Operand::one("updates"),
            ]
        }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXIS, REDUCTION] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[5, 3], i64[2, 3], f32[2, 3] {axis=0}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 1)?;
        let dtype = reduction::dtype(cx)?;
        let (index, updates) = (cx.dims(1)?, cx.dims(2)?);
        if let (Some(index), Some(updates)) = (index, updates) {
            agree("`updates`", updates, index)?;
        }
        match (cx.dims(0)?, index.or(updates)) {
            (Some(x), Some(index)) => beside(cx, x, index)?,
            (Some(dims), None) | (None, Some(dims)) => drop(cx.axis("axis", dims.len())?),
            (None, None) => {}
        }
        Ok(smallvec![typed(dtype, cx.dims(0)?)])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(2).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let place = Attrs::new().with("axis", cx.attrs.int("axis").unwrap_or(0));
        reduction::gradient(cx, ("gather_elements", "scatter_elements"), &place)
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    fn along(axis: i64, reduction: &str) -> Attrs {
        Attrs::new().with("axis", axis).with("reduction", reduction)
    }

    #[test]
    fn the_type_stays() {
        let of = |types| results("scatter_elements", types, along(1, "add"));
        assert_eq!(of("f32[n, 5], i64[n, 9], f32[n, 9]"), "f32[n, 5]");
        assert_eq!(of("?[*], i64[n, 9], f32[n, 9]"), "f32[*]");
        assert_eq!(of("f32[4, 5], i64[*], ?[*]"), "f32[4, 5]");
        let wrong = |types| error("scatter_elements", types, along(1, "none"));
        assert!(wrong("f32[4, 5], i64[4, 2], f32[4, 3]").contains("`updates` must have dims"));
        assert!(wrong("f32[4, 5], i64[5, 2], f32[5, 2]").contains("none larger"));
        assert!(wrong("f32[4, 5], i64[4, 2], f64[4, 2]").contains("must be f32"));
        assert!(wrong("f32[4, 5], f32[4, 2], f32[4, 2]").contains("must be an integer"));
        assert!(wrong("f32[4], i64[*], f32[*]").contains("outside a rank"));
        let attrs = along(0, "mean");
        let message = error("scatter_elements", "f32[4], i64[2], f32[2]", attrs);
        assert!(message.contains("not \"mean\""));
    }

    #[test]
    fn gradients_have_the_types_of_their_operands() {
        for reduction in ["none", "add", "mul", "max", "min"] {
            let types = "f32[n, 5], i64[n, 9], f32[n, 9]";
            let got = gradients("scatter_elements", types, along(-1, reduction));
            assert_eq!(got, "f32[n, 5], ?[*], f32[n, 9]", "{reduction}");
        }
    }
}
