//! Gradients of activations as ops of their own, so that an engine reads and writes memory once:
//! what is the same of all of them. Another engine may take them apart. They have no gradient
//! themselves.

use smallvec::smallvec;
use syncarp_ir::{BuildError, Expand, Infer, Op, Operand, TensorType, TypeError, Types, Values};

use super::activation::Parts;
use crate::infer::{Takes, broadcast_all, one_shape};

/// An op of this form; see [`Op`].
pub(super) struct Slope {
    pub name: &'static str,
    pub doc: &'static str,
    pub operands: &'static [Operand],
    /// Whether operands broadcast; else all have one shape.
    pub broadcasts: bool,
    pub parts: Parts,
}

impl Op for Slope {
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
        let dtype = Takes::Floats.one_dtype(cx, 0..count)?;
        let shape = match self.broadcasts {
            true => broadcast_all(cx, 0..count)?,
            false => one_shape(cx, 0..count)?,
        };
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some(match self.broadcasts {
            true => "f32[2, 3], f32[], f32[2, 3]",
            false => "f32[2, 3], f32[2, 3]",
        })
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((self.parts)(cx.b, cx.operands).map(|v| smallvec![v]))
    }
}
