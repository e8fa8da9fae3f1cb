//! Ops of one operand whose result has its type: what is the same of all of them.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Gradient, GradientError, GraphBuilder, Infer, Op, Operand, TypeError, Types, Value,
};

use crate::infer::Takes;

/// The gradient of `x`, from `x`, the result `y` and the gradient that arrived there.
pub(super) type Rule = fn(&mut GraphBuilder, Value, Value, Value) -> Result<Value, BuildError>;

/// An op of this form; see [`Op`].
pub(super) struct Unary {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    /// None where the result is piecewise constant.
    pub gradient: Option<Rule>,
}

impl Op for Unary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        self.takes.one_dtype(cx, 0..1)?;
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3]")
    }

    fn is_constant(&self) -> bool {
        self.gradient.is_none()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(rule) = self.gradient else {
            return Ok(());
        };
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = rule(cx.b, cx.operands[0], cx.results[0], dy)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}
