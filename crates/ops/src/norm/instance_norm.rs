//! The op `instance_norm`.

use syncarp_ir::{BuildError, Expand, Infer, Op, Operand, TensorType, TypeError, Types, Values};

use super::grouped::{OPERANDS, expand, infer};
use crate::emit::Emit;
use crate::expect::work;

/// The op `instance_norm`.
pub(super) struct InstanceNorm;

impl Op for InstanceNorm {
    fn name(&self) -> &'static str {
        "instance_norm"
    }

    fn doc(&self) -> &'static str {
        "Normalisation of each channel of each sample by its own mean and biased variance, times \
         gamma, plus beta: x [n, c, ...], gamma and beta [c], scalar eps (ONNX \
         `InstanceNormalization`, ATen `instance_norm` without running statistics)."
    }

    fn operands(&self) -> &'static [Operand] {
        OPERANDS
    }

    fn results(&self) -> &'static [&'static str] {
        &["y"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Ok(infer(cx)?.0)
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 4, 3], f32[4], f32[4], f32[]")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[8, results.first()?.elements()?])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let channels = cx.b.dims_of(cx.operands[0]).map(|dims| dims[1].clone());
        Some(channels.and_then(|channels| expand(cx, self.name(), channels)))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("instance_norm")
            .decomposes("f32[n, 4], f32[4], f32[4], f32[]")
            .decomposes("f32[n, 4, 3], f32[4], f32[4], f32[]")
            .decomposes("f32[n, 4, h, w], f32[4], f32[4], f32[]")
            .decomposes("f32[n, c, h], f32[c], f32[c], f32[]")
            .refuses("f32[n, 4, 3], f32[3], f32[3], f32[]", "numbers of channels")
            .flops("f32[2, 4, 3], f32[4], f32[4], f32[]", 192);
    }
}
