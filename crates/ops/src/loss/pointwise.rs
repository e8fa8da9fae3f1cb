//! Losses that are the mean of a number for each element: what is the same of all of them.

use smallvec::smallvec;
use syncarp_ir::{
    Attrs, BuildError, Expand, GraphBuilder, Infer, Op, Operand, TensorType, TypeError, Types,
    Value, Values,
};

use crate::emit::Emit;
use crate::expect::{floats, scalars, typed, work};
use crate::infer::one_shape;

/// What one element contributes, from the operands.
pub(super) type Each = fn(&mut GraphBuilder, &[Value]) -> Result<Value, BuildError>;

/// An op of this form; see [`Op`].
pub(super) struct Pointwise {
    pub name: &'static str,
    pub doc: &'static str,
    /// Two of one shape, then scalars.
    pub operands: &'static [Operand],
    /// Floating-point operations for each element.
    pub flops: u64,
    pub each: Each,
}

impl Op for Pointwise {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        self.operands
    }

    fn results(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1, 2])?;
        one_shape(cx, 0..2)?;
        scalars(cx, 2..self.operands.len())?;
        Ok(smallvec![typed(dtype, Some(&[]))])
    }

    fn example(&self) -> Option<&'static str> {
        Some(match self.operands.len() {
            2 => "f32[2, 3], f32[2, 3]",
            _ => "f32[2, 3], f32[2, 3], f32[]",
        })
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        work(&[self.flops, cx.operand(0).ok()?.elements()?])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((|| {
            let each = (self.each)(cx.b, cx.operands)?;
            let rank = cx.b.dims_of(each)?.len();
            let axes: Vec<i64> = (0..rank as i64).collect();
            let attrs = Attrs::new().with("axes", axes).with("keep", false);
            Ok(smallvec![cx.b.call_with("mean", &[each], attrs)?])
        })())
    }
}
