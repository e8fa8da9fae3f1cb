//! Slices that lists of places name.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, Dim, Gradient, GradientError, Infer, Op, Operand,
    Shape, TensorType, TypeError, Types,
};

use super::{agree, count, named};
use crate::emit::Emit;
use crate::expect::integers;
use crate::infer::dims_attr;

const BATCH_DIMS: AttrSpec = AttrSpec::optional(
    "batch_dims",
    AttrKind::Int,
    "How many of the first dims x and the index have in common.",
)
.or(AttrDefault::Int(0));

/// The shape of what an index of these dims names in x of those; none where that depends on what is
/// not known yet.
fn taken(cx: &Infer<'_>, x: &[Dim], index: &[Dim]) -> Result<Option<Shape>, TypeError> {
    let batch = count(cx, "batch_dims", 0)?;
    let (depth, places) = index
        .split_last()
        .ok_or_else(|| TypeError::new("`index` must have a dim, not be a scalar"))?;
    let batch = usize::try_from(batch)
        .ok()
        .filter(|batch| *batch <= places.len() && *batch < x.len())
        .ok_or_else(|| {
            TypeError::new(format!(
                "x {x:?} and `index` {index:?} have no {batch} dims in common beside what is named"
            ))
        })?;
    agree("the batch of `index`", &places[..batch], &x[..batch])?;
    let rest = named(x, batch, depth)?;
    Ok(rest.map(|rest| places.iter().chain(rest).cloned().collect()))
}

/// The op `gather_nd`.
pub(super) struct GatherNd;

impl Op for GatherNd {
    fn name(&self) -> &'static str {
        "gather_nd"
    }

    fn doc(&self) -> &'static str {
        "The slices of x that lists of k places name: with b batch dims, x [b..., s1, ..., sk, \
         r...] and integer index [b..., i..., k] give [b..., i..., r...]. A negative place \
         counts from the end; one that is not there gives NaN, of other elements than floats \
         zero (ONNX `GatherND`, ATen `index.Tensor`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("index")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[BATCH_DIMS] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[5, 3], i64[4, 1]")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 1)?;
        count(cx, "batch_dims", 0)?;
        let dtype = cx.operand(0)?.dtype;
        let shape = match (cx.dims(0)?, cx.dims(1)?) {
            (Some(x), Some(index)) => taken(cx, x, index)?,
            _ => None,
        };
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dims = cx.b.dims_of(cx.operands[0])?;
            let attrs = cx.attrs.clone().with("dims", &dims[..]);
            let dx =
                cx.b.call_with("gather_nd_grad", &[dy, cx.operands[1]], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `gather_nd_grad`.
pub(super) struct GatherNdGrad;

impl Op for GatherNdGrad {
    fn name(&self) -> &'static str {
        "gather_nd_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `gather_nd`: every slice of dy [b..., i..., r...] added where its \
         index [b..., i..., k] says, in order, to zeros [b..., s1, ..., sk, r...], which is \
         what `dims` says (ATen `index_put` with accumulation)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy"), Operand::one("index")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const DIMS: AttrSpec = AttrSpec::required(
            "dims",
            AttrKind::Dims,
            "The dims of what was gathered from.",
        );
        const { &[BATCH_DIMS, DIMS] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[4, 3], i64[4, 1] {dims=dims[5, 3]}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        integers(cx, 1)?;
        let dims = dims_attr(cx, "dims")?;
        if let Some(index) = cx.dims(1)?
            && let Some(want) = taken(cx, dims, index)?
            && let Some(dy) = cx.dims(0)?
        {
            agree("dy", dy, &want)?;
        }
        let shape = Some(dims.into());
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let batch = cx.attrs.int("batch_dims").unwrap_or(0);
            let attrs = Attrs::new().with("batch_dims", batch);
            let dx = cx.b.call_with("gather_nd", &[dy, cx.operands[1]], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};
    use crate::testing::dims;

    fn batch(dims: i64) -> Attrs {
        Attrs::new().with("batch_dims", dims)
    }

    #[test]
    fn lists_of_places_name_slices() {
        let of = |types, b| results("gather_nd", types, batch(b));
        assert_eq!(of("f32[4, 5, 6], i64[n, 2]", 0), "f32[n, 6]");
        assert_eq!(of("f32[n, 5, 6], i64[n, 7, 1]", 1), "f32[n, 7, 6]");
        assert_eq!(of("i8[4, 5], i64[2]", 0), "i8[]");
        assert_eq!(of("f32[4, 5], i64[3, k]", 0), "f32[*]");
        assert_eq!(of("f32[*], i64[3, 1]", 0), "f32[*]");
        let wrong = |types, b| error("gather_nd", types, batch(b));
        assert!(wrong("f32[4, 5], i64[3, 3]", 0).contains("from 1 to 2"));
        assert!(wrong("f32[4, 5], i64[3, 0]", 0).contains("from 1 to 2"));
        assert!(wrong("f32[4, 5], i64[]", 0).contains("not be a scalar"));
        assert!(wrong("f32[4, 5], i64[3, 1]", 1).contains("must have dims [4], not [3]"));
        assert!(wrong("f32[4, 5], i64[4, 5, 1]", 2).contains("no 2 dims in common"));
        assert!(wrong("f32[4, 5], i64[3, 1]", i64::MAX).contains("dims in common"));
        assert!(wrong("f32[*], i64[3, 1]", -1).contains("must not be negative"));
    }

    #[test]
    fn gradients_go_back() {
        let got = gradients("gather_nd", "f32[n, 5, 6], i64[n, 7, 1]", batch(1));
        assert_eq!(got, "f32[n, 5, 6], ?[*]");
        let whole = || batch(1).with("dims", dims("n,5,6"));
        let got = gradients("gather_nd_grad", "f32[n, 7, 6], i64[n, 7, 1]", whole());
        assert_eq!(got, "f32[n, 7, 6], ?[*]");
        let wrong = error("gather_nd_grad", "f32[n, 8, 6], i64[n, 7, 1]", whole());
        assert!(wrong.contains("dy must have dims [n, 7, 6]"));
    }
}
