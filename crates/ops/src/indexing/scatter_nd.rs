//! Slices put where lists of places say.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Attrs, Dim, Gradient, GradientError, Infer, Op, Operand, Shape, TensorType,
    TypeError, Types,
};

use super::reduction::{self, REDUCTION};
use super::{agree, named};
use crate::expect::{integers, typed};

/// The op `scatter_nd`.
pub(super) struct ScatterNd;

/// The dims of updates, where they are known.
fn updates(x: &[Dim], index: &[Dim]) -> Result<Option<Shape>, TypeError> {
    let (depth, places) = index
        .split_last()
        .ok_or_else(|| TypeError::new("`index` must have a dim, not be a scalar"))?;
    let rest = named(x, 0, depth)?;
    Ok(rest.map(|rest| places.iter().chain(rest).cloned().collect()))
}

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "scatter_nd"
    }

    fn doc(&self) -> &'static str {
        "x with each slice of updates put where a list of k places says: x [s1, ..., sk, r...], \
         integer index [i..., k] and updates [i..., r...] give [s1, ..., sk, r...]. A negative \
         place counts from the end; an update of a place that is not there is dropped (ONNX \
         `ScatterND`, ATen `index_put`)."
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
        const { &[REDUCTION] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[5, 3], i64[4, 1], f32[4, 3]")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 1)?;
        let dtype = reduction::dtype(cx)?;
        if let (Some(x), Some(index)) = (cx.dims(0)?, cx.dims(1)?)
            && let Some(want) = updates(x, index)?
            && let Some(got) = cx.dims(2)?
        {
            agree("`updates`", got, &want)?;
        }
        Ok(smallvec![typed(dtype, cx.dims(0)?)])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(2).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        reduction::gradient(cx, ("gather_nd", "scatter_nd"), &Attrs::new())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        let of = |types| results("scatter_nd", types, Attrs::new());
        assert_eq!(of("f32[n, 5, 6], i64[m, 2], f32[m, 6]"), "f32[n, 5, 6]");
        assert_eq!(of("f32[n], i64[m, k], f32[m]"), "f32[n]");
        assert_eq!(of("?[*], i64[m, 2], f32[m, 6]"), "f32[*]");
        let wrong = |types| error("scatter_nd", types, Attrs::new());
        assert!(wrong("f32[4, 5], i64[3, 1], f32[3]").contains("must have dims [3, 5]"));
        assert!(wrong("f32[4, 5], i64[3, 3], f32[3]").contains("from 1 to 2"));
        assert!(wrong("f32[4, 5], i64[], f32[]").contains("not be a scalar"));
        assert!(wrong("f32[4], f32[3, 1], f32[3]").contains("must be an integer"));
        assert!(wrong("f32[4], i64[3, 1], i8[3]").contains("must be f32"));
    }

    #[test]
    fn gradients_have_the_types_of_their_operands() {
        for reduction in ["none", "add", "mul", "max", "min"] {
            let attrs = Attrs::new().with("reduction", reduction);
            let got = gradients("scatter_nd", "f32[n, 5, 6], i64[m, 2], f32[m, 6]", attrs);
            assert_eq!(got, "f32[n, 5, 6], ?[*], f32[m, 6]", "{reduction}");
        }
    }
}
