//! The ops `sgd` and `sgd_momentum`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Infer, Op, Operand, TensorType, TypeError, Types,
};

use super::update;
use crate::expect::work;

/// The op `sgd`.
pub(super) struct Sgd;

impl Op for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn doc(&self) -> &'static str {
        "A step of gradient descent, `p - lr (g + weight_decay p)`: p and g of one shape, scalars lr \
         and weight_decay (PyTorch `torch.optim.SGD` without momentum)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("p"),
                Operand::one("g"),
                Operand::one("lr"),
                Operand::one("weight_decay"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["p"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (dtype, shape) = update(cx, 2)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[4, results.first()?.elements()?])
    }
}

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
                "Whether the step looks ahead along the momentum; false by default.",
            )
            .or(AttrDefault::Bool(false))]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (dtype, shape) = update(cx, 3)?;
        let ty = TensorType { dtype, shape };
        Ok(smallvec![ty.clone(), ty])
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[7, results.first()?.elements()?])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{dims, error_of, type_of};
    use syncarp_ir::{Attrs, DType, TensorType};

    #[test]
    fn the_parameter_keeps_its_type() {
        let p = TensorType::new(DType::F32, dims("3,4"));
        let scalar = TensorType::scalar(DType::F32);
        let mut types = vec![p.clone(), p.clone(), scalar.clone(), scalar.clone()];
        assert_eq!(type_of("sgd", &types, Attrs::new()), p);
        types[1] = TensorType::new(DType::F32, dims("4,3"));
        assert!(error_of("sgd", &types, Attrs::new()).contains("dims"));
        types[1] = p.clone();
        types[2] = p.clone();
        assert!(error_of("sgd", &types, Attrs::new()).contains("0 dims"));
        types[2] = TensorType::scalar(DType::F64);
        assert!(error_of("sgd", &types, Attrs::new()).contains("must be f32"));

        let mut types = vec![TensorType::unknown(), p.clone(), p.clone()];
        types.resize(7, scalar);
        let attrs = Attrs::new().with("nesterov", true);
        assert_eq!(type_of("sgd_momentum", &types, attrs), p);
    }
}
