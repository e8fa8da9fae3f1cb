//! The op `sgd_momentum`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Infer, Op, Operand, TensorType, TypeError, Types,
};

use super::update;
use crate::expect::work;

/// The op `sgd_momentum`.
pub(super) struct SgdMomentum;

impl Op for SgdMomentum {
    fn name(&self) -> &'static str {
        "sgd_momentum"
    }

    fn doc(&self) -> &'static str {
        "A step of gradient descent with momentum: with g + weight_decay p for g, buffer' = momentum \
         buffer + (1 - dampening) g and p' = p - lr buffer', or with nesterov p - lr (g + momentum \
         buffer'). p, g and buffer have one shape, the others are scalars (PyTorch \
         `torch.optim.SGD`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("p"),
                Operand::one("g"),
                Operand::one("buffer"),
                Operand::one("lr"),
                Operand::one("weight_decay"),
                Operand::one("momentum"),
                Operand::one("dampening"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["p", "buffer"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::optional(
                "nesterov",
                AttrKind::Bool,
                "Whether the step looks ahead along the momentum.",
            )
            .or(AttrDefault::Bool(false))]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (dtype, shape) = update(cx, 3)?;
        let ty = TensorType { dtype, shape };
        Ok(smallvec![ty.clone(), ty])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[2, 3], f32[2, 3], f32[], f32[], f32[], f32[]")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[7, results.first()?.elements()?])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_parameter_and_the_buffer_keep_their_type() {
        check("sgd_momentum")
            .gives(
                "?[*], f32[3], f32[3], f32[], f32[], f32[], f32[] {nesterov=true}",
                "f32[3], f32[3]",
            )
            .refuses(
                "f32[2, 3], f32[2, 3], f32[3, 2], f32[], f32[], f32[], f32[]",
                "dims",
            )
            .flops(
                "f32[2, 3], f32[2, 3], f32[2, 3], f32[], f32[], f32[], f32[]",
                42,
            );
    }
}
