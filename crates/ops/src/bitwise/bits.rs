//! Ops on bits: what is the same of all of them. Results are integers, so gradients stop there.

use smallvec::smallvec;
use syncarp_ir::{Infer, Op, Operand, TensorType, TypeError, Types};

use crate::infer::{Takes, broadcast_all};

/// An op of this form; see [`Op`].
pub(super) struct Bits {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    pub operands: &'static [Operand],
}

/// The operand of an op that takes one.
pub(super) const ONE: &[Operand] = &[Operand::one("x")];
/// The operands of an op that takes two.
pub(super) const TWO: &[Operand] = &[Operand::one("a"), Operand::one("b")];

impl Op for Bits {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        self.operands
    }

    fn example(&self) -> Option<&'static str> {
        Some(match self.operands.len() {
            1 => "i32[2, 3]",
            _ => "i32[2, 3], i32[3]",
        })
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let count = self.operands.len();
        let dtype = self.takes.one_dtype(cx, 0..count)?;
        let shape = broadcast_all(cx, 0..count)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn is_constant(&self) -> bool {
        true
    }
}
