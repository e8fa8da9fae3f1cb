//! Reductions over axes that go and come back alike: what is the same of all of them.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Attrs, BuildError, Dim, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types, Value,
};

use super::{AXES, KEEP, kept, reduced_dims, reduced_shape};
use crate::emit::Emit;
use crate::infer::Takes;

/// The gradient of x; the last value is the one that arrived, with reduced axes at size 1.
pub(super) type Rule = fn(&mut Gradient<'_>, Value) -> Result<Value, BuildError>;

/// An op of this form; see [`Op`].
pub(super) struct Fold {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    /// Whether an axis without elements can be reduced.
    pub empty: bool,
    pub rule: Rule,
}

/// The gradient in equal parts to all elements that equal the result.
pub(super) fn among_ties(cx: &mut Gradient<'_>, dy: Value) -> Result<Value, BuildError> {
    let x = cx.operands[0];
    let y = kept(cx.b, cx.results[0], x, cx.attrs)?;
    let equal = cx.b.call("eq", &[x, y])?;
    let dtype = cx.b.dtype_of(x)?;
    let mask =
        cx.b.call_with("cast", &[equal], Attrs::new().with("to", dtype))?;
    let ties =
        cx.b.call_with("sum", &[mask], cx.attrs.clone().with("keep", true))?;
    let share = cx.b.div(dy, ties)?;
    cx.b.mul(share, mask)
}

impl Op for Fold {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES, KEEP] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = self.takes.one_dtype(cx, 0..1)?;
        let shape = reduced_shape(cx)?;
        if let (false, Some(dims)) = (self.empty, cx.dims(0)?) {
            let marks = reduced_dims(cx.attrs, dims.len())?;
            if dims
                .iter()
                .zip(marks)
                .any(|(d, reduced)| reduced && *d == Dim::Known(0))
            {
                let message = format!("a reduced axis must have elements; dims are {dims:?}");
                return Err(TypeError::new(message));
            }
        }
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axes=[1]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dy = kept(cx.b, dy, cx.operands[0], cx.attrs)?;
            let dx = (self.rule)(cx, dy)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}
