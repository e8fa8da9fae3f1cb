//! Running sums.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TypeError, Types,
};

use crate::emit::Emit;
use crate::infer::Takes;

/// The op `cumsum`.
pub(super) struct Cumsum;

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn doc(&self) -> &'static str {
        "At each place of an axis the sum of the elements up to it, itself included unless \
         `exclusive` (ONNX `CumSum`, ATen `cumsum`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required(
                "axis",
                AttrKind::Int,
                "The axis; from the end where negative.",
            ),
            AttrSpec::optional("reverse", AttrKind::Bool, "Whether to sum from the end.")
                .or(AttrDefault::Bool(false)),
            AttrSpec::optional(
                "exclusive",
                AttrKind::Bool,
                "Whether a place's own element does not count.",
            )
            .or(AttrDefault::Bool(false)),
        ];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Takes::Numbers.one_dtype(cx, 0..1)?;
        if let Some(dims) = cx.dims(0)? {
            cx.axis("axis", dims.len())?;
        }
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axis=1}")
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let reverse = cx.attrs.bool("reverse").unwrap_or(false);
            let attrs = cx.attrs.clone().with("reverse", !reverse);
            let dx = cx.b.call_with("cumsum", &[dy], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn the_type_stays() {
        let x = TensorType::new(DType::F32, dims("n,4"));
        let along = |axis: i64| Attrs::new().with("axis", axis);
        assert_eq!(type_of("cumsum", std::slice::from_ref(&x), along(-2)), x);
        assert!(error_of("cumsum", &[x], along(-3)).contains("outside"));
        let open = type_of("cumsum", &[TensorType::unknown()], along(5));
        assert_eq!(open, TensorType::unknown());
    }

    #[test]
    fn the_gradient_sums_the_other_way() {
        check("cumsum")
            .refuses("bool[4] {axis=0}", "not bool")
            .differentiates("f32[n, 4, 3] {axis=1}")
            .differentiates("f32[n, 4] {axis=0, reverse=true}")
            .flops("f32[2, 3] {axis=1}", 6);
    }
}
