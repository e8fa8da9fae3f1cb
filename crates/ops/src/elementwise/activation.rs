//! Activations that are taken apart into arithmetic: what is the same of all of them. Their
//! gradients are those of their parts, chosen so that no infinity meets a zero on the way back.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Expand, GraphBuilder, Infer, Op, Operand, TensorType, TypeError, Types, Value,
    Values,
};

use crate::infer::{Takes, broadcast_all};

/// What the result is, from the operands.
pub(super) type Parts = fn(&mut GraphBuilder, &[Value]) -> Result<Value, BuildError>;

/// An op of this form; see [`Op`].
pub(super) struct Activation {
    pub name: &'static str,
    pub doc: &'static str,
    pub operands: &'static [Operand],
    pub takes: Takes,
    pub example: &'static str,
    pub parts: Parts,
}

/// The operand of an activation that takes one.
pub(super) const X: &[Operand] = &[Operand::one("x")];
/// The operands of an activation between bounds.
pub(super) const BOUNDED: &[Operand] =
    &[Operand::one("x"), Operand::one("low"), Operand::one("high")];

impl Op for Activation {
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
        let count = cx.operands.len();
        let dtype = self.takes.one_dtype(cx, 0..count)?;
        let shape = broadcast_all(cx, 0..count)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some(self.example)
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((self.parts)(cx.b, cx.operands).map(|v| smallvec![v]))
    }
}
