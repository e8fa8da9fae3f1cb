//! The op `sgd`.

use smallvec::smallvec;
use syncarp_ir::{Infer, Op, Operand, TensorType, TypeError, Types};

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

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[2, 3], f32[], f32[]")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[4, results.first()?.elements()?])
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_parameter_keeps_its_type() {
        check("sgd")
            .gives("f32[3, 4], f32[3, 4], f32[], f32[]", "f32[3, 4]")
            .refuses("f32[3, 4], f32[4, 3], f32[], f32[]", "dims")
            .refuses("f32[3], f32[3], f32[3], f32[]", "0 dims")
            .refuses("f32[3], f32[3], f64[], f32[]", "must be f32")
            .flops("f32[2, 3], f32[2, 3], f32[], f32[]", 24)
            .bytes("f32[2, 3], f32[2, 3], f32[], f32[]", 80);
    }
}
