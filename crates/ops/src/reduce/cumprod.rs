//! Running products.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types,
};

use crate::emit::Emit;
use crate::infer::{Takes, one_shape};

const SPECS: &[AttrSpec] = &[
    AttrSpec::required(
        "axis",
        AttrKind::Int,
        "The axis; from the end where negative.",
    ),
    AttrSpec::optional(
        "reverse",
        AttrKind::Bool,
        "Whether to multiply from the end.",
    )
    .or(AttrDefault::Bool(false)),
    AttrSpec::optional(
        "exclusive",
        AttrKind::Bool,
        "Whether a place's own element does not count.",
    )
    .or(AttrDefault::Bool(false)),
];

/// The op `cumprod`.
pub(super) struct Cumprod;

impl Op for Cumprod {
    fn name(&self) -> &'static str {
        "cumprod"
    }

    fn doc(&self) -> &'static str {
        "At each place of an axis the product of the elements up to it, itself included unless \
         `exclusive` (ONNX `CumProd`, ATen `cumprod`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        SPECS
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axis=1}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Takes::Numbers.one_dtype(cx, 0..1)?;
        if let Some(dims) = cx.dims(0)? {
            cx.axis("axis", dims.len())?;
        }
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let operands = [cx.operands[0], dy];
            let dx =
                cx.b.call_with("cumprod_grad", &operands, cx.attrs.clone())?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `cumprod_grad`.
pub(super) struct CumprodGrad;

impl Op for CumprodGrad {
    fn name(&self) -> &'static str {
        "cumprod_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `cumprod`, right where elements are zero, too: x and dy of one shape \
         (ATen `cumprod_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("dy")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        SPECS
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[2, 3] {axis=1}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
        let shape = one_shape(cx, 0..2)?;
        if let Some(dims) = &shape {
            cx.axis("axis", dims.len())?;
        }
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()?.checked_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        let along = |axis: i64| Attrs::new().with("axis", axis).with("exclusive", true);
        assert_eq!(results("cumprod", "i32[n, 4]", along(-2)), "i32[n, 4]");
        assert_eq!(results("cumprod", "?[*]", along(5)), "?[*]");
        assert!(error("cumprod", "f32[n, 4]", along(-3)).contains("outside"));
        assert!(error("cumprod", "bool[n]", along(0)).contains("not bool"));
        assert_eq!(gradients("cumprod", "f32[n, 4]", along(1)), "f32[n, 4]");
        let wrong = error("cumprod_grad", "f32[n, 4], f32[n, 3]", along(1));
        assert!(wrong.contains("another has"));
    }
}
