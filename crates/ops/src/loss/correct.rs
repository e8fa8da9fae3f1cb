//! The op `correct`.

use smallvec::smallvec;
use syncarp_ir::{Infer, Op, Operand, TensorType, TypeError, Types};

use super::classes;
use crate::expect::{floats, typed};

/// The op `correct`.
pub(super) struct Correct;

impl Op for Correct {
    fn name(&self) -> &'static str {
        "correct"
    }

    fn doc(&self) -> &'static str {
        "How many targets are the class with the largest logit, the first of equal ones, NaN being \
         the largest of all: logits [n, c, d...] and integer target [n, d...] to a scalar count of \
         the logits' dtype."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("logits"), Operand::one("target")] }
    }

    fn results(&self) -> &'static [&'static str] {
        &["count"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0])?;
        classes::check(cx, 0, 1)?;
        Ok(smallvec![typed(dtype, Some(&[]))])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], i64[2]")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn is_constant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, dims, error_of, type_of};
    use syncarp_ir::{Attrs, DType, TensorType};

    #[test]
    fn it_counts_in_the_logits_dtype() {
        let logits = TensorType::new(DType::F32, dims("n,10"));
        let target = TensorType::new(DType::I64, dims("n"));
        let types = [logits.clone(), target];
        assert_eq!(
            type_of("correct", &types, Attrs::new()).to_string(),
            "f32[]"
        );
        let wrong = error_of("correct", &[logits.clone(), logits], Attrs::new());
        assert!(wrong.contains("integer"), "{wrong}");
    }

    #[test]
    fn gradients_stop_there() {
        check("correct")
            .stops("f32[n, 10], i64[n]")
            .flops("f32[2, 3], i64[2]", 6);
    }
}
