//! Repetition along dims of size 1.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
    broadcast,
};

use crate::emit::Emit;
use crate::infer::dims_attr;

/// The op `expand`.
pub(super) struct Expand;

impl Op for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn doc(&self) -> &'static str {
        "The operand repeated to larger dims: dims of size 1, and dims missing in front, take the \
         size that `dims` gives them (ONNX `Expand`, ATen `expand`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "dims",
            AttrKind::Dims,
            "The dims of the result.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dims = dims_attr(cx, "dims")?;
        if let Some(x) = cx.dims(0)?
            && !broadcast(x, dims).is_ok_and(|all| &all[..] == dims)
        {
            return Err(TypeError::new(format!(
                "dims {x:?} do not expand to {dims:?}"
            )));
        }
        let dtype = cx.operand(0)?.dtype;
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[3] {dims=dims[2, 3]}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.sum_to_like(dy, cx.operands[0])?;
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
    fn only_ones_grow() {
        let to = |d: &str| Attrs::new().with("dims", dims(d));
        let x = TensorType::fixed(DType::F32, &[4, 1]);
        assert_eq!(
            type_of("expand", std::slice::from_ref(&x), to("n,4,7")).to_string(),
            "f32[n, 4, 7]"
        );
        for wrong in ["5,7", "7", "4,7,1"] {
            assert!(
                error_of("expand", std::slice::from_ref(&x), to(wrong)).contains("do not expand")
            );
        }
    }

    #[test]
    fn the_gradient_has_the_type_of_the_operand() {
        check("expand")
            .differentiates("f32[4, 1] {dims=dims[n, 4, 3]}")
            .flops("f32[3] {dims=dims[2, 3]}", 0)
            .bytes("f32[3] {dims=dims[2, 3]}", 36);
    }
}
