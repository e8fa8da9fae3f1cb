//! The op `cast`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, DType, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types,
};

use crate::emit::Emit;

/// The op `cast`.
pub(super) struct Cast;

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn doc(&self) -> &'static str {
        "The same numbers as elements of another type. Floats become integers by rounding towards \
         zero and stop at the largest and smallest one, NaN becomes 0; integers wrap; a bool is 0 \
         or 1, and whatever is not zero becomes true. Gradients pass between floats and stop at \
         the rest (ONNX `Cast`, ATen `_to_copy`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "to",
            AttrKind::DType,
            "The element type of the result.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let shape = cx.operand(0)?.shape.clone();
        let dtype = cx.attrs.dtype("to");
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {to=f64}")
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0].filter(|_| cx.wants(0)) else {
            return Ok(());
        };
        let from = cx.b.dtype_of(cx.operands[0])?;
        if from.is_float() && cx.attrs.dtype("to").is_some_and(DType::is_float) {
            let dx =
                cx.b.call_with("cast", &[dy], Attrs::new().with("to", from))?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn gradients_pass_between_floats() {
        check("cast")
            .gives("f32[n] {to=i64}", "i64[n]")
            .gives("?[*] {to=bool}", "bool[*]")
            .refuses("f32[n]", "`to` is missing")
            .differentiates("f32[n] {to=f64}")
            .stops("f32[n] {to=i64}")
            .flops("f32[2, 3] {to=f64}", 6);
    }
}
