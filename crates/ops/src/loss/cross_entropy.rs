//! The ops `cross_entropy` and `cross_entropy_grad`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types,
};

use super::classes;
use crate::emit::Emit;
use crate::expect::{floats, scalars, typed, work};

const SMOOTHING: AttrSpec = AttrSpec::optional(
    "label_smoothing",
    AttrKind::Float,
    "The share of each target's weight that is spread over all classes, 0 to 1; 0 by default.",
)
.or(AttrDefault::Float(0.0));

fn check_smoothing(cx: &Infer<'_>) -> Result<(), TypeError> {
    match cx.attrs.float("label_smoothing") {
        Some(x) if !(0.0..=1.0).contains(&x) => Err(TypeError::new(format!(
            "`label_smoothing` must lie between 0 and 1, not {x}"
        ))),
        _ => Ok(()),
    }
}

/// The op `cross_entropy`.
pub(super) struct CrossEntropy;

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn doc(&self) -> &'static str {
        "The mean over all targets of the negative log-softmax at the target's class, and the \
         log-softmax itself: logits [n, c, d...] and integer target [n, d...] to a scalar in nats \
         and [n, c, d...]. A target outside the classes makes the loss NaN (ONNX \
         `SoftmaxCrossEntropyLoss`, ATen `cross_entropy_loss`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("logits"), Operand::one("target")] }
    }

    fn results(&self) -> &'static [&'static str] {
        &["loss", "log_probs"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[SMOOTHING] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0])?;
        classes::check(cx, 0, 1)?;
        check_smoothing(cx)?;
        Ok(smallvec![
            typed(dtype, Some(&[])),
            typed(dtype, cx.dims(0)?)
        ])
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        // For each logit a comparison, a difference, an exponential, a sum and a difference.
        work(&[5, results.get(1)?.elements()?])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if !cx.wants(0) {
            return Ok(());
        }
        let mut all = None;
        if let Some(dloss) = cx.arrived[0] {
            let operands = [cx.results[1], cx.operands[1], dloss];
            all = Some(cx.b.call_with("cross_entropy_grad", &operands, cx.attrs.clone())?);
        }
        if let Some(dy) = cx.arrived[1] {
            // The gradient of the log-softmax.
            let total = cx.b.sum(dy, &[1], true)?;
            let probs = cx.b.call("exp", &[cx.results[1]])?;
            let part = cx.b.mul(probs, total)?;
            let through = cx.b.sub(dy, part)?;
            all = Some(match all {
                Some(sum) => cx.b.add(sum, through)?,
                None => through,
            });
        }
        if let Some(gradient) = all {
            cx.give(0, gradient);
        }
        Ok(())
    }
}

/// The op `cross_entropy_grad`.
pub(super) struct CrossEntropyGrad;

impl Op for CrossEntropyGrad {
    fn name(&self) -> &'static str {
        "cross_entropy_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `cross_entropy`'s logits: log_probs [n, c, d...], integer target [n, d...] \
         and the scalar dloss to [n, c, d...]; NaN in all classes of a target outside them."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("log_probs"),
                Operand::one("target"),
                Operand::one("dloss"),
            ]
        }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[SMOOTHING] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 2])?;
        classes::check(cx, 0, 1)?;
        check_smoothing(cx)?;
        scalars(cx, [2])?;
        Ok(smallvec![typed(dtype, cx.dims(0)?)])
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[3, results.first()?.elements()?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{dims, error_of, gradients, type_of};
    use syncarp_ir::{Attrs, DType};

    fn types(logits: &str, target: &str) -> [TensorType; 2] {
        [
            TensorType::new(DType::F32, dims(logits)),
            TensorType::new(DType::I64, dims(target)),
        ]
    }

    #[test]
    fn the_loss_is_a_scalar() {
        for (logits, target) in [("n,10", "n"), ("n,10,h,w", "n,h,w")] {
            let types = types(logits, target);
            assert_eq!(
                type_of("cross_entropy", &types, Attrs::new()).to_string(),
                "f32[]"
            );
            assert_eq!(
                gradients("cross_entropy", &types, Attrs::new())[0],
                types[0]
            );
        }
        let unknown = [TensorType::unknown(), TensorType::unknown()];
        assert_eq!(
            type_of("cross_entropy", &unknown, Attrs::new()).to_string(),
            "?[]"
        );
    }

    #[test]
    fn it_says_what_does_not_fit() {
        let error = |types: [TensorType; 2]| error_of("cross_entropy", &types, Attrs::new());
        assert!(error(types("n,10", "n,10")).contains("must lack their second dim"));
        assert!(error(types("n,10", "m")).contains("must be equal"));
        assert!(error(types("n", "")).contains("one of classes"));
        let floats = [
            types("n,10", "n")[0].clone(),
            TensorType::new(DType::F32, dims("n")),
        ];
        assert!(error(floats).contains("integer"));
        let attrs = Attrs::new().with("label_smoothing", 1.5);
        assert!(error_of("cross_entropy", &types("n,10", "n"), attrs).contains("between 0 and 1"));
    }
}
