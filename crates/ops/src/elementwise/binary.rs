//! Arithmetic of two operands that broadcast: what is the same of all of it.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Gradient, GradientError, GraphBuilder, Infer, Op, Operand, TensorType, TypeError,
    Types, Value,
};

use crate::emit::Emit;
use crate::infer::{Takes, broadcast_all};

/// The nodes that a rule works from.
pub(super) struct Around {
    pub a: Value,
    pub b: Value,
    pub y: Value,
    pub dy: Value,
}

/// The gradient of one operand in the shape of the result, before it is summed down.
pub(super) type Rule = fn(&mut GraphBuilder, &Around) -> Result<Value, BuildError>;

/// An op of this form; see [`Op`].
pub(super) struct Binary {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    /// The gradients of a and b.
    pub gradients: [Rule; 2],
}

/// What an operand of `maximum` or `minimum` gets: nothing where it `loses` against the other,
/// half where both are equal, else all.
pub(super) fn part_of_winner(
    g: &mut GraphBuilder,
    loses: &str,
    mine: Value,
    other: Value,
    dy: Value,
) -> Result<Value, BuildError> {
    let zero = g.number_like(dy, 0.0)?;
    let half = g.scale(dy, 0.5)?;
    let tied = g.call("eq", &[mine, other])?;
    let shared = g.select(tied, half, dy)?;
    let lost = g.call(loses, &[mine, other])?;
    g.select(lost, zero, shared)
}

impl Op for Binary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("a"), Operand::one("b")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = self.takes.one_dtype(cx, 0..2)?;
        let shape = broadcast_all(cx, 0..2)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[3]")
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        let [a, b] = [cx.operands[0], cx.operands[1]];
        let around = Around {
            a,
            b,
            y: cx.results[0],
            dy,
        };
        for (index, rule) in self.gradients.iter().enumerate() {
            if cx.wants(index) {
                let whole = rule(cx.b, &around)?;
                let gradient = cx.b.sum_to_like(whole, cx.operands[index])?;
                cx.give(index, gradient);
            }
        }
        Ok(())
    }
}
