//! The op `where`.

use smallvec::smallvec;
use syncarp_ir::{Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types};

use crate::emit::Emit;
use crate::infer::{Takes, broadcast_all};

/// The op `where`.
pub(super) struct Where;

impl Op for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn doc(&self) -> &'static str {
        "The element of a where the condition holds, else that of b; all three broadcast \
         (ONNX `Where`, ATen `where.self`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("condition"),
                Operand::one("a"),
                Operand::one("b"),
            ]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Takes::Truths.one_dtype(cx, 0..1)?;
        let dtype = Takes::All.one_dtype(cx, 1..3)?;
        let shape = broadcast_all(cx, 0..3)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("bool[2, 1], f32[2, 3], f32[3]")
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        for index in [1, 2] {
            if cx.wants(index) {
                let zero = cx.b.number_like(dy, 0.0)?;
                let (a, b) = if index == 1 { (dy, zero) } else { (zero, dy) };
                let whole = cx.b.select(cx.operands[0], a, b)?;
                let gradient = cx.b.sum_to_like(whole, cx.operands[index])?;
                cx.give(index, gradient);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn all_three_broadcast() {
        check("where")
            .gives("bool[n, 1], f32[4], f32[n, 4]", "f32[n, 4]")
            .gives("bool[2], bool[], bool[2]", "bool[2]")
            .refuses("f32[4], f32[4], f32[4]", "operand 0 must be a bool")
            .refuses("bool[4], f32[4], f64[4]", "f64")
            .differentiates("bool[n, 1], f32[4], f32[n, 4]")
            .flops("bool[2, 1], f32[2, 3], f32[3]", 6);
    }
}
