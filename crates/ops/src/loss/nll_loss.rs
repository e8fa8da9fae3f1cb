//! The op `nll_loss` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError,
    Types,
};

use super::classes;
use crate::emit::Emit;
use crate::expect::{floats, integers, scalars, typed, work};

/// The op `nll_loss`.
pub(super) struct NllLoss;

impl Op for NllLoss {
    fn name(&self) -> &'static str {
        "nll_loss"
    }

    fn doc(&self) -> &'static str {
        "The mean over all targets of the negative log-probability of the target's class: log_probs \
         [n, c, d...] and integer target [n, d...] to a scalar in nats. A target outside the \
         classes makes the loss NaN (ONNX `NegativeLogLikelihoodLoss`, ATen `nll_loss`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("log_probs"), Operand::one("target")] }
    }

    fn results(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0])?;
        classes::check(cx, 0, 1)?;
        Ok(smallvec![typed(dtype, Some(&[]))])
    }

    fn bytes(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        // Of the log-probabilities one for each target is read.
        let (scores, target) = (cx.operand(0).ok()?, cx.operand(1).ok()?);
        let read = work(&[target.elements()?, scores.dtype?.size() as u64])?;
        read.checked_add(target.bytes()?)?
            .checked_add(results.first()?.bytes()?)
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], i64[2]")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(1).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dloss)) = (cx.wants(0), cx.arrived[0]) {
            let dims = cx.b.dims_of(cx.operands[0])?;
            let attrs = Attrs::new().with("dims", &dims[..]);
            let dx =
                cx.b.call_with("nll_loss_grad", &[cx.operands[1], dloss], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `nll_loss_grad`.
pub(super) struct NllLossGrad;

impl Op for NllLossGrad {
    fn name(&self) -> &'static str {
        "nll_loss_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `nll_loss`'s log-probabilities: integer target [n, d...] and the scalar \
         dloss to [n, c, d...]; NaN in all classes of a target outside them."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("target"), Operand::one("dloss")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::required(
                "dims",
                AttrKind::Dims,
                "The dims of the log-probabilities.",
            )]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 0)?;
        let dtype = floats(cx, &[1])?;
        scalars(cx, [1])?;
        let dims = cx.attrs.dims("dims");
        classes::fit(dims, cx.dims(0)?)?;
        Ok(smallvec![typed(dtype, dims)])
    }

    fn example(&self) -> Option<&'static str> {
        Some("i64[2], f32[] {dims=dims[2, 3]}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dims, error_of, gradients, type_of};
    use syncarp_ir::DType;

    #[test]
    fn the_loss_is_a_scalar_and_its_gradient_has_the_shape_of_the_scores() {
        let scores = TensorType::new(DType::F64, dims("n,10,t"));
        let target = TensorType::new(DType::I32, dims("n,t"));
        let types = [scores.clone(), target.clone()];
        assert_eq!(
            type_of("nll_loss", &types, Attrs::new()).to_string(),
            "f64[]"
        );
        assert_eq!(gradients("nll_loss", &types, Attrs::new())[0], scores);
        let wrong = error_of("nll_loss", &[scores.clone(), scores], Attrs::new());
        assert!(wrong.contains("integer"), "{wrong}");
    }

    #[test]
    fn only_the_targets_scores_are_read() {
        check("nll_loss")
            .differentiates("f64[n, 10, t], i32[n, t]")
            .flops("f32[2, 3], i64[2]", 2)
            .bytes("f32[2, 3], i64[2]", 28);
        check("nll_loss_grad")
            .gives("i64[n], f32[] {dims=dims[n, 3]}", "f32[n, 3]")
            .refuses("i64[n], f32[3] {dims=dims[n, 3]}", "0 dims")
            .flops("i64[2], f32[] {dims=dims[2, 3]}", 6)
            .bytes("i64[2], f32[] {dims=dims[2, 3]}", 44);
    }
}
