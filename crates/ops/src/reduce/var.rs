//! The variance over axes.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, BuildError, Expand, Infer, Op, Operand, TensorType,
    TypeError, Types, Value, Values,
};

use super::{AXES, KEEP, count, reduced_shape};
use crate::emit::Emit;

/// The op `var`.
pub(super) struct Var;

impl Op for Var {
    fn name(&self) -> &'static str {
        "var"
    }

    fn doc(&self) -> &'static str {
        "The variance over axes: squared distances from the mean, summed and divided by the count \
         less `correction` (ATen `var.correction`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const CORRECTION: AttrSpec = AttrSpec::optional(
            "correction",
            AttrKind::Int,
            "What the count is lessened by; 1 by default, the unbiased estimate.",
        )
        .or(AttrDefault::Int(1));
        const { &[AXES, KEEP, CORRECTION] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        let shape = reduced_shape(cx)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()?.checked_mul(4)
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(parts(cx).map(|v| smallvec![v]))
    }
}

fn parts(cx: &mut Expand<'_>) -> Result<Value, BuildError> {
    let x = cx.operands[0];
    let mut over = Attrs::new();
    if let Some(axes) = cx.attrs.ints("axes") {
        over.set("axes", axes);
    }
    let keep = cx.attrs.bool("keep").unwrap_or(false);
    let correction = cx.attrs.int("correction").unwrap_or(1);
    let mean =
        cx.b.call_with("mean", &[x], over.clone().with("keep", true))?;
    let distance = cx.b.sub(x, mean)?;
    let square = cx.b.call("square", &[distance])?;
    let sum =
        cx.b.call_with("sum", &[square], over.clone().with("keep", keep))?;
    let count = count(cx.b, x, &over)?;
    let degrees = cx.b.offset(count, -(correction as f64))?;
    // Fewer than no degrees of freedom are none: the variance is then NaN or infinite.
    let zero = cx.b.number_like(degrees, 0.0)?;
    let degrees = cx.b.call("maximum", &[degrees, zero])?;
    cx.b.div(sum, degrees)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{decomposed, dims};

    #[test]
    fn symbolic_counts_are_counted_when_bound() {
        let x = [TensorType::new(DType::F32, dims("n,4"))];
        let names = |attrs| {
            let b = decomposed("var", &x, attrs);
            let graph = b.finish();
            graph.nodes().map(|n| graph.op_name(n)).collect::<Vec<_>>()
        };
        assert!(names(Attrs::new().with("axes", vec![0])).contains(&"count"));
        assert!(!names(Attrs::new().with("axes", vec![1])).contains(&"count"));
        assert!(names(Attrs::new().with("correction", 0i64)).contains(&"count"));
    }
}
