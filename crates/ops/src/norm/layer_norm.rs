//! The op `layer_norm` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, DType, Dim, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types,
};

use super::batch_norm_train::same_dims;
use crate::expect::{equal, floats, scalars, typed, work};

pub(super) const AXES: AttrSpec = AttrSpec::required(
    "axes",
    AttrKind::Int,
    "How many trailing dims are normalised together, 1 or more.",
);

/// How many trailing dims the node normalises, checked against x's dims where they are known.
pub(super) fn trailing(cx: &Infer<'_>, x: Option<&[Dim]>) -> Result<usize, TypeError> {
    let axes = cx.int("axes")?;
    let count = usize::try_from(axes).ok().filter(|k| *k >= 1);
    let count =
        count.ok_or_else(|| TypeError::new(format!("`axes` must be 1 at least, not {axes}")));
    match (count?, x) {
        (count, Some(x)) if count > x.len() => {
            let message = format!("`axes` is {count}, but x has dims {x:?}");
            Err(TypeError::new(message))
        }
        (count, _) => Ok(count),
    }
}

/// Demands that operands, where their dims are known, have the last `count` of x's dims; gives
/// those dims, where anything tells them.
pub(super) fn affine<'a>(
    cx: &Infer<'a>,
    x: Option<&'a [Dim]>,
    operands: &[usize],
    count: usize,
) -> Result<Option<&'a [Dim]>, TypeError> {
    let mut seen = x.map(|x| &x[x.len() - count..]);
    for &index in operands {
        let Some(dims) = cx.rank(index, count)? else {
            continue;
        };
        for (a, b) in seen.unwrap_or(dims).iter().zip(dims) {
            equal(a, b, "the normalised dims of all operands")?;
        }
        seen = Some(dims);
    }
    Ok(seen)
}

/// The op `layer_norm`.
pub(super) struct LayerNorm;

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn doc(&self) -> &'static str {
        "Normalisation of the last dims by their own mean and biased variance, times gamma, plus \
         beta: x [..., d...], gamma and beta [d...], scalar eps to y, and to the mean and \
         inverse_std, 1 / sqrt(variance + eps), both [...], which serve the gradient and carry none \
         (ONNX `LayerNormalization`, ATen `native_layer_norm`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("x"),
                Operand::one("gamma"),
                Operand::one("beta"),
                Operand::one("eps"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["y", "mean", "inverse_std"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype: Option<DType> = floats(cx, &[0, 1, 2, 3])?;
        let x = cx.dims(0)?;
        let count = trailing(cx, x)?;
        affine(cx, x, &[1, 2], count)?;
        scalars(cx, [3])?;
        let statistic = typed(dtype, x.map(|x| &x[..x.len() - count]));
        Ok(smallvec![typed(dtype, x), statistic.clone(), statistic])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 4], f32[4], f32[4], f32[] {axes=1}")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        // A sum, a sum of squared differences, and a difference scaled twice and shifted.
        work(&[8, results.first()?.elements()?])
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
            cx.results[1],
            cx.results[2],
        ];
        let gradients = cx.b.emit("layer_norm_grad", &operands, cx.attrs.clone())?;
        for (operand, gradient) in gradients.into_iter().enumerate() {
            if cx.wants(operand) {
                cx.give(operand, gradient);
            }
        }
        Ok(())
    }
}

/// The op `layer_norm_grad`.
pub(super) struct LayerNormGrad;

impl Op for LayerNormGrad {
    fn name(&self) -> &'static str {
        "layer_norm_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradients of `layer_norm`: x and dy [..., d...], gamma [d...], mean and inverse_std \
         [...] to those of x, gamma and beta (ATen `native_layer_norm_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("x"),
                Operand::one("dy"),
                Operand::one("gamma"),
                Operand::one("mean"),
                Operand::one("inverse_std"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["dx", "dgamma", "dbeta"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1, 2, 3, 4])?;
        let x = match (cx.dims(0)?, cx.dims(1)?) {
            (Some(x), Some(dy)) => {
                same_dims(x, dy)?;
                Some(x)
            }
            (x, dy) => x.or(dy),
        };
        let count = trailing(cx, x)?;
        let gamma = affine(cx, x, &[2], count)?;
        for statistic in [3, 4] {
            if let (Some(x), Some(dims)) = (x, cx.dims(statistic)?)
                && dims != &x[..x.len() - count]
            {
                let message = format!(
                    "operand {statistic} must have the dims of x but for the last {count}, not \
                     {dims:?}"
                );
                return Err(TypeError::new(message));
            }
        }
        let gamma = typed(dtype, gamma);
        Ok(smallvec![typed(dtype, x), gamma.clone(), gamma])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 4], f32[2, 3, 4], f32[4], f32[2, 3], f32[2, 3] {axes=1}")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[13, results.first()?.elements()?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dims, error_of, gradients, inputs, type_of};
    use syncarp_ir::Attrs;

    fn types(x: &str, gamma: &str) -> [TensorType; 4] {
        let ty = |text| TensorType::new(DType::F32, dims(text));
        [ty(x), ty(gamma), ty(gamma), ty("")]
    }

    fn axes(count: i64) -> Attrs {
        Attrs::new().with("axes", count)
    }

    #[test]
    fn the_type_stays_and_statistics_lack_the_last_dims() {
        for (x, gamma, count, statistic) in [
            ("n,8", "8", 1, "f32[n]"),
            ("n,t,4,2", "4,2", 2, "f32[n, t]"),
            ("8", "8", 1, "f32[]"),
        ] {
            let types = types(x, gamma);
            let (mut b, operands) = inputs(&types);
            let results = b.emit("layer_norm", &operands, axes(count)).unwrap();
            assert_eq!(*b.ty(results[0]), types[0]);
            assert_eq!(b.ty(results[2]).to_string(), statistic);
            assert_eq!(
                gradients("layer_norm", &types, axes(count))[..3],
                types[..3]
            );
        }
        let mut unknown = types("n,8", "8");
        unknown[0] = TensorType::unknown();
        assert_eq!(
            type_of("layer_norm", &unknown, axes(1)).to_string(),
            "f32[*]"
        );
    }

    #[test]
    fn it_says_what_does_not_fit() {
        let error = |x, gamma, count| error_of("layer_norm", &types(x, gamma), axes(count));
        assert!(error("n,8", "9", 1).contains("normalised dims"));
        assert!(error("n,8", "8", 2).contains("2 dims"));
        assert!(error("n,8", "8", 3).contains("`axes` is 3"));
        assert!(error("n,8", "8", 0).contains("1 at least"));
        assert!(error("n,8", "8", i64::MIN).contains("1 at least"));
    }

    #[test]
    fn the_work_is_some_for_each_element() {
        check("layer_norm").flops("f32[2, 3, 4], f32[4], f32[4], f32[] {axes=1}", 192);
        check("layer_norm_grad")
            .gives(
                "f32[2, 3, 4], f32[2, 3, 4], f32[4], f32[2, 3], f32[2, 3] {axes=1}",
                "f32[2, 3, 4], f32[4], f32[4]",
            )
            .refuses(
                "f32[2, 3, 4], f32[2, 3, 4], f32[4], f32[2], f32[2, 3] {axes=1}",
                "must have the dims of x",
            )
            .flops(
                "f32[2, 3, 4], f32[2, 3, 4], f32[4], f32[2, 3], f32[2, 3] {axes=1}",
                312,
            );
    }
}
