//! Comparisons and logic: results are truth values, so gradients stop there.

use smallvec::smallvec;
use syncarp_ir::{DType, Infer, Op, Operand, TensorType, TypeError, Types};

use crate::infer::{Takes, broadcast_all};

/// An op of this form; see [`Op`].
pub(super) struct Compare {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    pub operands: &'static [Operand],
}

/// The operand of an op that takes one.
pub(super) const ONE: &[Operand] = &[Operand::one("x")];
/// The operands of an op that takes two.
pub(super) const TWO: &[Operand] = &[Operand::one("a"), Operand::one("b")];

impl Op for Compare {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        self.operands
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let count = self.operands.len();
        self.takes.one_dtype(cx, 0..count)?;
        let shape = broadcast_all(cx, 0..count)?;
        Ok(smallvec![TensorType {
            dtype: Some(DType::Bool),
            shape
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some(match (self.takes, self.operands.len()) {
            (Takes::Truths, 1) => "bool[2, 3]",
            (Takes::Truths, _) => "bool[2, 3], bool[3]",
            (_, 1) => "f32[2, 3]",
            _ => "f32[2, 3], f32[3]",
        })
    }

    fn is_constant(&self) -> bool {
        true
    }
}
