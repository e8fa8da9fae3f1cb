//! Axes turned round.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
};

use crate::emit::Emit;
use crate::infer::marked;

/// The op `reverse`.
pub(super) struct Reverse;

impl Op for Reverse {
    fn name(&self) -> &'static str {
        "reverse"
    }

    fn doc(&self) -> &'static str {
        "x with some axes turned round: what came first on them comes last (ONNX `Slice` with \
         negative steps, ATen `flip`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::required(
                "axes",
                AttrKind::Ints,
                "The axes, each once; from the end where negative.",
            )]
        }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axes=[1]}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let axes = cx.ints("axes")?;
        if let Some(dims) = cx.dims(0)? {
            marked(axes, dims.len())?;
        }
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.call_with("reverse", &[dy], cx.attrs.clone())?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    fn over(axes: &[i64]) -> Attrs {
        Attrs::new().with("axes", axes)
    }

    #[test]
    fn the_type_stays() {
        assert_eq!(
            results("reverse", "bool[n, 4]", over(&[0, -1])),
            "bool[n, 4]"
        );
        assert_eq!(results("reverse", "?[*]", over(&[9])), "?[*]");
        assert_eq!(results("reverse", "f32[]", over(&[])), "f32[]");
        assert!(error("reverse", "f32[n, 4]", over(&[2])).contains("outside a rank"));
        assert!(error("reverse", "f32[n, 4]", over(&[1, -1])).contains("named twice"));
        assert_eq!(gradients("reverse", "f32[n, 4]", over(&[1])), "f32[n, 4]");
    }
}
