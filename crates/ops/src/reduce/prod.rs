//! The op `prod` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
};

use super::{AXES, KEEP, reduced_shape};
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `prod`.
pub(super) struct Prod;

impl Op for Prod {
    fn name(&self) -> &'static str {
        "prod"
    }

    fn doc(&self) -> &'static str {
        "The product over axes (ONNX `ReduceProd`, ATen `prod`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES, KEEP] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Numbers.one_dtype(cx, 0..1)?;
        let shape = reduced_shape(cx)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axes=[1]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx =
                cx.b.call_with("prod_grad", &[cx.operands[0], dy], cx.attrs.clone())?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `prod_grad`.
pub(super) struct ProdGrad;

impl Op for ProdGrad {
    fn name(&self) -> &'static str {
        "prod_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `prod`: for each element dy times the product of the others, right where \
         elements are zero (ATen `prod_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("dy")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES, KEEP] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
        if let (Some(want), Some(dy)) = (reduced_shape(cx)?, cx.dims(1)?)
            && &want[..] != dy
        {
            let message = format!("dy must have dims {:?}, not {dy:?}", &want[..]);
            return Err(TypeError::new(message));
        }
        let shape = cx.operand(0)?.shape.clone();
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[2] {axes=[1]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()?.checked_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, error_of, type_of};

    #[test]
    fn the_gradient_has_the_shape_of_x() {
        let x = TensorType::fixed(DType::F32, &[2, 3]);
        let over = || Attrs::new().with("axes", vec![1]);
        let right = [x.clone(), TensorType::fixed(DType::F32, &[2])];
        assert_eq!(type_of("prod_grad", &right, over()), x);
        let wrong = [x.clone(), TensorType::fixed(DType::F32, &[2, 1])];
        assert!(error_of("prod_grad", &wrong, over()).contains("must have dims [2]"));
        assert_eq!(type_of("prod", &[x], over()).to_string(), "f32[2]");
    }

    #[test]
    fn products_are_reductions() {
        check("prod")
            .gives("f32[n, 4, 3] {axes=[0, -1]}", "f32[4]")
            .refuses("bool[2]", "not bool")
            .differentiates("f32[n, 4, 3]")
            .differentiates("f32[n, 4, 3] {axes=[1], keep=true}")
            .flops("f32[2, 3] {axes=[1]}", 6);
        check("prod_grad").flops("f32[2, 3], f32[2] {axes=[1]}", 24);
    }
}
