//! Softmaxes along an axis: what is the same of all of them.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, BuildError, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types, Value,
};

use crate::expect::{floats, typed, work};

/// The gradient of x, from the gradient that arrived and the axis.
pub(super) type Rule = fn(&mut Gradient<'_>, Value, i64) -> Result<Value, BuildError>;

/// An op of this form; see [`Op`].
pub(super) struct Exponential {
    pub name: &'static str,
    pub doc: &'static str,
    pub rule: Rule,
}

impl Op for Exponential {
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
        const {
            &[AttrSpec::required(
                "axis",
                AttrKind::Int,
                "The axis of classes; counted from the end where negative.",
            )]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0])?;
        let dims = cx.dims(0)?;
        if let Some(dims) = dims {
            cx.axis("axis", dims.len())?;
        }
        Ok(smallvec![typed(dtype, dims)])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axis=1}")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[5, results.first()?.elements()?])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let axis = cx.attrs.int("axis").expect("the attribute was checked");
            let dx = (self.rule)(cx, dy, axis)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}
