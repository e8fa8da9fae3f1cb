//! The op `sum_squares`.

use smallvec::smallvec;
use syncarp_ir::{
    Gradient, GradientError, Infer, Op, Operand, Shape, TensorType, TypeError, Types,
};

use crate::emit::Emit;

/// The op `sum_squares`.
pub(super) struct SumSquares;

impl Op for SumSquares {
    fn name(&self) -> &'static str {
        "sum_squares"
    }

    fn doc(&self) -> &'static str {
        "The sum of the squares of all elements, a scalar: what the norm of gradients is made of \
         (ONNX `ReduceSumSquare`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(Shape::new())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3]")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()?.checked_mul(2)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let twice = cx.b.scale(dy, 2.0)?;
            let dx = cx.b.mul(cx.operands[0], twice)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, error_of, type_of};

    #[test]
    fn any_float_tensor_gives_a_scalar() {
        let open = [TensorType::unknown()];
        assert_eq!(
            type_of("sum_squares", &open, Attrs::new()).to_string(),
            "?[]"
        );
        let whole = [TensorType::fixed(DType::I32, &[2])];
        assert!(error_of("sum_squares", &whole, Attrs::new()).contains("must be a float"));
    }

    #[test]
    fn the_gradient_has_the_type_of_the_operand() {
        check("sum_squares")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 12);
    }
}
