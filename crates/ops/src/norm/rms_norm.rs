//! The op `rms_norm`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Attrs, BuildError, Expand, Infer, Op, Operand, TensorType, TypeError, Types, Values,
};

use super::layer_norm::{AXES, affine, trailing};
use crate::emit::Emit;
use crate::expect::{floats, scalars, typed, work};

/// The op `rms_norm`.
pub(super) struct RmsNorm;

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn doc(&self) -> &'static str {
        "Normalisation of the last dims by the root of their mean square, `x gamma / sqrt(mean(x^2) \
         + eps)`: x [..., d...], gamma [d...], scalar eps (ONNX `RMSNormalization`, ATen \
         `rms_norm`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("x"),
                Operand::one("gamma"),
                Operand::one("eps"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["y"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1, 2])?;
        let x = cx.dims(0)?;
        let count = trailing(cx, x)?;
        affine(cx, x, &[1], count)?;
        scalars(cx, [2])?;
        Ok(smallvec![typed(dtype, x)])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 4], f32[4], f32[] {axes=1}")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[4, results.first()?.elements()?])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let count = cx.attrs.int("axes")?;
        Some((|| {
            let [x, gamma, eps] = *cx.operands else {
                unreachable!("the number of operands was checked");
            };
            let square = cx.b.call("square", &[x])?;
            let axes: Vec<i64> = (1..=count).map(|axis| -axis).rev().collect();
            let attrs = Attrs::new().with("axes", axes).with("keep", true);
            let mean = cx.b.call_with("mean", &[square], attrs)?;
            let shifted = cx.b.add(mean, eps)?;
            let inverse = cx.b.call("rsqrt", &[shifted])?;
            let normal = cx.b.mul(x, inverse)?;
            Ok(smallvec![cx.b.mul(normal, gamma)?])
        })())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, decomposed, dims, error_of};
    use syncarp_ir::DType;

    #[test]
    fn it_types_as_its_parts_do() {
        let ty = |text| TensorType::new(DType::F32, dims(text));
        for (x, gamma, count) in [("n,8", "8", 1i64), ("n,t,4,2", "4,2", 2), ("8", "8", 1)] {
            let types = [ty(x), ty(gamma), ty("")];
            decomposed("rms_norm", &types, Attrs::new().with("axes", count));
        }
        let types = [ty("n,8"), ty("7"), ty("")];
        let wrong = error_of("rms_norm", &types, Attrs::new().with("axes", 1i64));
        assert!(wrong.contains("normalised dims"), "{wrong}");
    }

    #[test]
    fn the_type_stays() {
        check("rms_norm")
            .gives("f32[n, 4], f32[4], f32[] {axes=1}", "f32[n, 4]")
            .refuses("f32[n, 4], f32[4], f32[4] {axes=1}", "0 dims")
            .flops("f32[2, 3, 4], f32[4], f32[] {axes=1}", 96);
    }
}
