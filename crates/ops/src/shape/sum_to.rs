//! Sums down to a shape that was broadcast: the way back from broadcasting.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
    broadcast,
};

use crate::emit::Emit;
use crate::infer::{Takes, dims_attr};

/// The op `sum_to`.
pub(super) struct SumTo;

impl Op for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }

    fn doc(&self) -> &'static str {
        "Sums over the dims along which `dims` would have to be repeated to become those of x, so \
         that the result has `dims` (ATen `sum_to_size`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "dims",
            AttrKind::Dims,
            "The dims of the result; they broadcast to those of x.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dims = dims_attr(cx, "dims")?;
        let dtype = Takes::Numbers.one_dtype(cx, 0..1)?;
        if let Some(x) = cx.dims(0)?
            && !broadcast(dims, x).is_ok_and(|all| &all[..] == x)
        {
            return Err(TypeError::new(format!(
                "dims {x:?} do not sum to {dims:?}, which does not broadcast to them"
            )));
        }
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {dims=dims[3]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.expand_like(dy, cx.operands[0])?;
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
    fn the_result_must_broadcast_back() {
        let to = |d: &str| Attrs::new().with("dims", dims(d));
        let x = TensorType::new(DType::F32, dims("n,4,3"));
        assert_eq!(
            type_of("sum_to", std::slice::from_ref(&x), to("4,1")).to_string(),
            "f32[4, 1]"
        );
        assert_eq!(
            type_of("sum_to", std::slice::from_ref(&x), to("")).to_string(),
            "f32[]"
        );
        for wrong in ["5", "1,n,4,3", "n,4,2"] {
            assert!(error_of("sum_to", std::slice::from_ref(&x), to(wrong)).contains("do not sum"));
        }
    }

    #[test]
    fn the_gradient_has_the_type_of_the_operand() {
        check("sum_to")
            .differentiates("f32[n, 4, 3] {dims=dims[4, 1]}")
            .flops("f32[2, 3] {dims=dims[3]}", 6);
    }
}
