//! The op `batch_norm_train` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    Attrs, BuildError, DType, Dim, Expand, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types, Values,
};

use crate::emit::Emit;
use crate::expect::{equal, floats, scalars, typed, vectors, work};

/// Demands x [n, c, ...] and vectors of c, all of one dtype; gives that and c.
pub(super) fn channels(
    cx: &Infer<'_>,
    vector_operands: std::ops::Range<usize>,
) -> Result<(Option<DType>, Option<Dim>), TypeError> {
    let all: Vec<usize> = (0..cx.operands.len()).collect();
    let dtype = floats(cx, &all)?;
    let x = cx.dims(0)?;
    if let Some(x) = x
        && x.len() < 2
    {
        let message = format!("operand 0 must have dims [n, c, ...], not {x:?}");
        return Err(TypeError::new(message));
    }
    let seen = x.map(|x| x[1].clone());
    Ok((
        dtype,
        vectors(cx, vector_operands, seen, "the numbers of channels")?,
    ))
}

/// The type of a vector with an element for each channel.
fn vector(dtype: Option<DType>, channels: &Option<Dim>) -> TensorType {
    typed(dtype, channels.as_ref().map(std::slice::from_ref))
}

/// The op `batch_norm_train`.
pub(super) struct BatchNormTrain;

impl Op for BatchNormTrain {
    fn name(&self) -> &'static str {
        "batch_norm_train"
    }

    fn doc(&self) -> &'static str {
        "Batch normalisation in training: x [n, c, ...] by the mean and the biased variance of each \
         channel in the batch, times gamma, plus beta; gamma, beta and the running mean and var are \
         [c], eps and momentum scalars. new_mean = (1 - momentum) mean + momentum batch_mean, and \
         new_var likewise with the unbiased variance, which is NaN of a single element a channel. \
         batch_mean and inverse_std, 1 / sqrt(variance + eps), serve the gradient and carry none \
         (ONNX `BatchNormalization` with training_mode, ATen `native_batch_norm`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("x"),
                Operand::one("gamma"),
                Operand::one("beta"),
                Operand::one("mean"),
                Operand::one("var"),
                Operand::one("eps"),
                Operand::one("momentum"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["y", "new_mean", "new_var", "batch_mean", "inverse_std"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (dtype, c) = channels(cx, 1..5)?;
        scalars(cx, [5, 6])?;
        let vector = vector(dtype, &c);
        let mut types: Types = smallvec![typed(dtype, cx.dims(0)?)];
        types.extend((0..4).map(|_| vector.clone()));
        Ok(types)
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[8, 3], f32[3], f32[3], f32[3], f32[3], f32[], f32[]")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        // A sum, a sum of squared differences, and a difference scaled and shifted.
        work(&[7, results.first()?.elements()?])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        if !(0..3).any(|i| cx.wants(i)) {
            return Ok(());
        }
        let operands = [
            cx.operands[0],
            dy,
            cx.operands[1],
            cx.results[3],
            cx.results[4],
        ];
        let gradients = cx.b.emit("batch_norm_grad", &operands, Attrs::new())?;
        for (operand, gradient) in gradients.into_iter().enumerate() {
            if cx.wants(operand) {
                cx.give(operand, gradient);
            }
        }
        Ok(())
    }

    fn to_eval(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((|| {
            let [x, gamma, beta, mean, var, eps, _] = *cx.operands else {
                unreachable!("the number of operands was checked");
            };
            // The running statistics stand where the batch's would, and stay what they are.
            let y =
                cx.b.call("batch_norm_eval", &[x, gamma, beta, mean, var, eps])?;
            let shifted = cx.b.add(var, eps)?;
            let inverse = cx.b.call("rsqrt", &[shifted])?;
            Ok(smallvec![y, mean, var, mean, inverse])
        })())
    }
}

/// The op `batch_norm_grad`.
pub(super) struct BatchNormGrad;

impl Op for BatchNormGrad {
    fn name(&self) -> &'static str {
        "batch_norm_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradients of `batch_norm_train`: x and dy [n, c, ...], gamma, batch_mean and \
         inverse_std [c] to those of x, gamma and beta (ATen `native_batch_norm_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("x"),
                Operand::one("dy"),
                Operand::one("gamma"),
                Operand::one("batch_mean"),
                Operand::one("inverse_std"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["dx", "dgamma", "dbeta"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (dtype, c) = channels(cx, 2..5)?;
        if let (Some(x), Some(dy)) = (cx.dims(0)?, cx.dims(1)?) {
            same_dims(x, dy)?;
        }
        let vector = vector(dtype, &c);
        let x = typed(dtype, cx.dims(0)?.or(cx.dims(1)?));
        Ok(smallvec![x, vector.clone(), vector])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[8, 3], f32[8, 3], f32[3], f32[3], f32[3]")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        // Sums of dy and of dy (x - mean), and a combination of dy, x and the two.
        work(&[9, results.first()?.elements()?])
    }
}

/// Demands that a value and its gradient have the same dims.
pub(super) fn same_dims(x: &[Dim], dy: &[Dim]) -> Result<(), TypeError> {
    if x.len() != dy.len() {
        return Err(TypeError::new(format!("x has dims {x:?}, but dy {dy:?}")));
    }
    x.iter()
        .zip(dy)
        .try_for_each(|(a, b)| equal(a, b, "dims of x and dy"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dims, error_of, gradients, inputs, type_of};

    fn types(x: &str, c: &str) -> Vec<TensorType> {
        let vector = TensorType::new(DType::F32, dims(c));
        let mut types = vec![vector; 5];
        types[0] = TensorType::new(DType::F32, dims(x));
        types.resize(7, TensorType::scalar(DType::F32));
        types
    }

    #[test]
    fn the_type_stays_and_statistics_are_vectors_of_channels() {
        for x in ["n,3", "n,3,l", "n,3,h,w"] {
            let types = types(x, "3");
            assert_eq!(type_of("batch_norm_train", &types, Attrs::new()), types[0]);
            let gradients = gradients("batch_norm_train", &types, Attrs::new());
            assert_eq!(gradients[..3], types[..3]);
            assert!(gradients[3..].iter().all(|g| *g == TensorType::unknown()));
        }
        let mut types = types("n,3", "3");
        types[0] = TensorType::unknown();
        let (mut b, operands) = inputs(&types);
        let results = b.emit("batch_norm_train", &operands, Attrs::new()).unwrap();
        let printed: Vec<_> = results.iter().map(|v| b.ty(*v).to_string()).collect();
        assert_eq!(printed, ["f32[*]", "f32[3]", "f32[3]", "f32[3]", "f32[3]"]);
    }

    #[test]
    fn it_says_what_does_not_fit() {
        let error = |types: &[TensorType]| error_of("batch_norm_train", types, Attrs::new());
        assert!(error(&types("n,3,h", "4")).contains("numbers of channels"));
        assert!(error(&types("n", "3")).contains("[n, c, ...]"));
        let mut wrong = types("n,3", "3");
        wrong[6] = wrong[1].clone();
        assert!(error(&wrong).contains("operand 6 must have 0 dims"));
        let mut grad = types("n,3", "3");
        grad.truncate(5);
        assert!(error_of("batch_norm_grad", &grad, Attrs::new()).contains("dy"));
    }

    #[test]
    fn in_evaluation_the_running_statistics_stay() {
        let types = types("n,3,h,w", "3");
        let (mut b, operands) = inputs(&types);
        let attrs = Attrs::new();
        let results = b
            .emit("batch_norm_train", &operands, attrs.clone())
            .unwrap();
        let stated: Vec<_> = results.iter().map(|v| b.ty(*v).clone()).collect();
        let mut cx = Expand {
            b: &mut b,
            attrs: &attrs,
            operands: &operands,
            types: &stated,
        };
        let eval = BatchNormTrain.to_eval(&mut cx).unwrap().unwrap();
        assert_eq!(eval[1..4], [operands[3], operands[4], operands[3]]);
        for (value, ty) in eval.iter().zip(&stated) {
            assert_eq!(b.ty(*value), ty);
        }
    }

    #[test]
    fn the_work_is_some_for_each_element() {
        check("batch_norm_train").flops(
            "f32[8, 3], f32[3], f32[3], f32[3], f32[3], f32[], f32[]",
            168,
        );
        check("batch_norm_grad")
            .gives(
                "f32[n, 3], f32[n, 3], f32[3], f32[3], f32[3]",
                "f32[n, 3], f32[3], f32[3]",
            )
            .flops("f32[8, 3], f32[8, 3], f32[3], f32[3], f32[3]", 216);
    }
}
