//! The largest or smallest elements and where they are.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, DType, Dim, Gradient, GradientError, Infer, Op,
    Operand, Shape, TensorType, TypeError, Types,
};

use super::{AXIS, count, zeros_like};
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `top_k`.
pub(super) struct TopK;

impl Op for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn doc(&self) -> &'static str {
        "The k largest or smallest elements on an axis, in order, and their places: x [a..., s, \
         b...] gives values [a..., k, b...] and indices i64[a..., k, b...]. Of equal ones the \
         first goes first; NaN counts as largest (ONNX `TopK`, ATen `topk`, `sort`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn results(&self) -> &'static [&'static str] {
        &["values", "indices"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const K: AttrSpec = AttrSpec::required(
            "k",
            AttrKind::Int,
            "How many elements; at most those of the axis.",
        );
        const LARGEST: AttrSpec = AttrSpec::optional(
            "largest",
            AttrKind::Bool,
            "Whether the largest and not the smallest.",
        )
        .or(AttrDefault::Bool(true));
        const SORTED: AttrSpec = AttrSpec::optional(
            "sorted",
            AttrKind::Bool,
            "Whether their order matters. They come in order in any case.",
        )
        .or(AttrDefault::Bool(true));
        const { &[K, AXIS, LARGEST, SORTED] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 5] {k=3, axis=1}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Numbers.one_dtype(cx, 0..1)?;
        cx.int("k")?;
        let k = count(cx, "k", 0)?;
        let mut shape = cx.dims(0)?.map(Shape::from);
        if let Some(dims) = &mut shape {
            let axis = cx.axis("axis", dims.len())?;
            if let Some(size) = dims[axis].known().filter(|size| k > *size) {
                return Err(TypeError::new(format!(
                    "`k` must be at most {size}, the size of axis {axis}, not {k}"
                )));
            }
            dims[axis] = Dim::Known(k);
        }
        let indices = TensorType {
            dtype: Some(DType::I64),
            shape: shape.clone(),
        };
        Ok(smallvec![TensorType { dtype, shape }, indices])
    }

    /// One comparison for each level of a heap of the best.
    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        let depth = results.first()?.elements()?.max(2).ilog2();
        cx.operand(0)
            .ok()?
            .elements()?
            .checked_mul(u64::from(depth))
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let zeros = zeros_like(cx.b, cx.operands[0])?;
            let axis = cx.attrs.int("axis").unwrap_or(0);
            let attrs = Attrs::new().with("axis", axis);
            let operands = [zeros, cx.results[1], dy];
            let dx = cx.b.call_with("scatter_elements", &operands, attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    fn of(k: i64, axis: i64) -> Attrs {
        Attrs::new().with("k", k).with("axis", axis)
    }

    #[test]
    fn the_axis_becomes_as_long_as_asked() {
        let got = results("top_k", "f32[n, 5]", of(3, -1));
        assert_eq!(got, "f32[n, 3], i64[n, 3]");
        assert_eq!(
            results("top_k", "u8[n, 5]", of(0, 0)),
            "u8[0, 5], i64[0, 5]"
        );
        assert_eq!(results("top_k", "?[*]", of(3, 9)), "?[*], i64[*]");
        assert!(error("top_k", "f32[n, 5]", of(6, 1)).contains("at most 5"));
        assert!(error("top_k", "f32[n, 5]", of(i64::MAX, 1)).contains("at most 5"));
        assert!(error("top_k", "f32[n, 5]", of(-1, 1)).contains("must not be negative"));
        assert!(error("top_k", "f32[n, 5]", of(1, 2)).contains("outside a rank"));
        assert!(error("top_k", "bool[5]", of(1, 0)).contains("not bool"));
    }

    #[test]
    fn the_gradient_goes_where_the_elements_were() {
        assert_eq!(gradients("top_k", "f32[n, 5]", of(2, 1)), "f32[n, 5]");
    }
}
