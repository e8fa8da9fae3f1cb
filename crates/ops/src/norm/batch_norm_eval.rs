//! The op `batch_norm_eval`.

use smallvec::smallvec;
use syncarp_ir::{Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types};

use super::batch_norm_train::channels;
use super::beside_channels;
use crate::emit::Emit;
use crate::expect::{scalars, typed, work};

/// The op `batch_norm_eval`.
pub(super) struct BatchNormEval;

impl Op for BatchNormEval {
    fn name(&self) -> &'static str {
        "batch_norm_eval"
    }

    fn doc(&self) -> &'static str {
        "Batch normalisation with given statistics, `(x - mean) gamma / sqrt(var + eps) + beta`: x \
         [n, c, ...], gamma, beta, mean and var [c], scalar eps (ONNX `BatchNormalization`, ATen \
         `native_batch_norm` in evaluation)."
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
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["y"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (dtype, _) = channels(cx, 1..5)?;
        scalars(cx, [5])?;
        Ok(smallvec![typed(dtype, cx.dims(0)?)])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[8, 3], f32[3], f32[3], f32[3], f32[3], f32[]")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[3, results.first()?.elements()?])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        let [x, gamma, beta, mean, var, eps] = *cx.operands else {
            unreachable!("the number of operands was checked");
        };
        let dims = cx.b.dims_of(x)?;
        let rank = dims.len();
        let view = beside_channels(&dims[1], rank);
        let axes: Vec<i64> = (0..rank as i64).filter(|axis| *axis != 1).collect();
        let shifted = cx.b.add(var, eps)?;
        let inverse = cx.b.call("rsqrt", &[shifted])?;
        let scale = cx.b.mul(gamma, inverse)?;
        if cx.wants(0) {
            let scale = cx.b.reshape_to(scale, &view)?;
            let dx = cx.b.mul(dy, scale)?;
            cx.give(0, dx);
        }
        if cx.wants(2) || cx.wants(3) {
            let dbeta = cx.b.sum(dy, &axes, false)?;
            let dbeta = cx.b.reshape_like(dbeta, beta)?;
            if cx.wants(2) {
                cx.give(2, dbeta);
            }
            if cx.wants(3) {
                let product = cx.b.mul(dbeta, scale)?;
                let dmean = cx.b.neg(product)?;
                cx.give(3, dmean);
            }
        }
        if ![1, 4, 5].iter().any(|i| cx.wants(*i)) {
            return Ok(());
        }
        let center = cx.b.reshape_to(mean, &view)?;
        let centered = cx.b.sub(x, center)?;
        let product = cx.b.mul(dy, centered)?;
        let total = cx.b.sum(product, &axes, false)?;
        let dgamma = cx.b.mul(total, inverse)?;
        if cx.wants(1) {
            cx.give(1, dgamma);
        }
        if cx.wants(4) || cx.wants(5) {
            // The slope of 1 / sqrt(v) is -1/2 v^(-3/2).
            let slope = cx.b.mul(scale, inverse)?;
            let product = cx.b.mul(dgamma, slope)?;
            let dvar = cx.b.scale(product, -0.5)?;
            if cx.wants(4) {
                cx.give(4, dvar);
            }
            if cx.wants(5) {
                let deps = cx.b.sum(dvar, &[0], false)?;
                let deps = cx.b.reshape_like(deps, eps)?;
                cx.give(5, deps);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, gradients, type_of};

    #[test]
    fn the_type_stays_and_every_operand_has_a_gradient() {
        for x in ["n,3", "n,3,l", "n,3,h,w"] {
            let mut types = vec![TensorType::new(DType::F32, dims("3")); 5];
            types[0] = TensorType::new(DType::F32, dims(x));
            types.push(TensorType::scalar(DType::F32));
            assert_eq!(type_of("batch_norm_eval", &types, Attrs::new()), types[0]);
            assert_eq!(gradients("batch_norm_eval", &types, Attrs::new()), types);
            types[2] = TensorType::new(DType::F32, dims("4"));
            let wrong = error_of("batch_norm_eval", &types, Attrs::new());
            assert!(wrong.contains("numbers of channels"), "{wrong}");
        }
    }

    #[test]
    fn the_work_is_some_for_each_element() {
        check("batch_norm_eval")
            .differentiates("f32[n, 3, l], f32[3], f32[3], f32[3], f32[3], f32[]")
            .flops("f32[8, 3], f32[3], f32[3], f32[3], f32[3], f32[]", 72);
    }
}
