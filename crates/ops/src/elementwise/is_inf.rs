//! The op `is_inf`.

use smallvec::smallvec;
use syncarp_ir::{AttrDefault, AttrKind, AttrSpec, DType, Infer, Op, Operand, TypeError, Types};

use crate::expect::typed;

/// The op `is_inf`.
pub(super) struct IsInf;

impl Op for IsInf {
    fn name(&self) -> &'static str {
        "is_inf"
    }

    fn doc(&self) -> &'static str {
        "Whether x is infinite (ONNX `IsInf`, ATen `isinf`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::optional(
                "positive",
                AttrKind::Bool,
                "Whether positive infinity counts.",
            )
            .or(AttrDefault::Bool(true)),
            AttrSpec::optional(
                "negative",
                AttrKind::Bool,
                "Whether negative infinity counts.",
            )
            .or(AttrDefault::Bool(true)),
        ];
        SPECS
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3]")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        cx.float(0)?;
        Ok(smallvec![typed(Some(DType::Bool), cx.dims(0)?)])
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
    fn it_gives_truth_values() {
        let one = Attrs::new().with("negative", false);
        assert_eq!(results("is_inf", "f32[n, 4]", one), "bool[n, 4]");
        assert_eq!(results("is_inf", "?[*]", Attrs::new()), "bool[*]");
        assert!(error("is_inf", "bool[4]", Attrs::new()).contains("must be a float, not bool"));
        let wrong = Attrs::new().with("positive", 1i64);
        assert!(error("is_inf", "f32[4]", wrong).contains("`positive` is a int"));
    }
}
