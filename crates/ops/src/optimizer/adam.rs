//! The op `adam`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Infer, Op, Operand, TensorType, TypeError, Types,
};

use super::update;
use crate::expect::work;

/// The op `adam`.
pub(super) struct Adam;

impl Op for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn doc(&self) -> &'static str {
        "A step of Adam (Kingma and Ba, 2015), or with `decoupled` of AdamW: m' = m + rest1 (g - \
         m), v' = beta2 v + rest2 g^2, p' = p - step_size m' / (sqrt(v') / bias2_sqrt + \
         eps), where weight_decay p is first added to g, or decoupled p first shrinks by 1 - lr \
         weight_decay. p, g, m and v have one shape, the others are scalars; at step t the host \
         gives step_size = lr / (1 - beta1^t), bias2_sqrt = sqrt(1 - beta2^t), rest1 = 1 - beta1 and \
         rest2 = 1 - beta2, each rounded once (PyTorch \
         `torch.optim.Adam`, `AdamW`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("p"),
                Operand::one("g"),
                Operand::one("m"),
                Operand::one("v"),
                Operand::one("step_size"),
                Operand::one("rest1"),
                Operand::one("beta2"),
                Operand::one("eps"),
                Operand::one("weight_decay"),
                Operand::one("bias2_sqrt"),
                Operand::one("lr"),
                Operand::one("rest2"),
            ]
        }
    }

    fn results(&self) -> &'static [&'static str] {
        &["p", "m", "v"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::optional(
                "decoupled",
                AttrKind::Bool,
                "Whether weight decay shrinks the parameter (AdamW) rather than joining the \
                 gradient; false by default.",
            )
            .or(AttrDefault::Bool(false))]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (dtype, shape) = update(cx, 4)?;
        let ty = TensorType { dtype, shape };
        Ok(smallvec![ty.clone(), ty.clone(), ty])
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[15, results.first()?.elements()?])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{dims, error_of, type_of};
    use syncarp_ir::{Attrs, DType, TensorType};

    #[test]
    fn the_parameter_keeps_its_type() {
        let p = TensorType::new(DType::F64, dims("5"));
        let mut types = vec![p.clone(); 4];
        types.resize(12, TensorType::scalar(DType::F64));
        assert_eq!(
            type_of("adam", &types, Attrs::new().with("decoupled", true)),
            p
        );
        types[10] = p.clone();
        assert!(error_of("adam", &types, Attrs::new()).contains("operand 10 must have 0 dims"));
        types.pop();
        assert!(error_of("adam", &types, Attrs::new()).contains("expected operands"));
    }
}
