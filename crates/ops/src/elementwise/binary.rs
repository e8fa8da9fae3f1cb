//! Arithmetic of two operands that broadcast, each an entry of one table.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Gradient, GradientError, GraphBuilder, Infer, Op, OpRegistry, Operand,
    RegisterError, TensorType, TypeError, Types, Value,
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

pub(super) struct Binary {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    pub gradients: [Rule; 2],
}

const BINARY: &[Binary] = &[
    Binary {
        name: "add",
        doc: "The sum `a + b` (ONNX `Add`, ATen `add.Tensor`).",
        takes: Takes::Numbers,
        gradients: [|_, n| Ok(n.dy), |_, n| Ok(n.dy)],
    },
    Binary {
        name: "sub",
        doc: "The difference `a - b` (ONNX `Sub`, ATen `sub.Tensor`).",
        takes: Takes::Numbers,
        gradients: [|_, n| Ok(n.dy), |g, n| g.neg(n.dy)],
    },
    Binary {
        name: "mul",
        doc: "The product `a * b` (ONNX `Mul`, ATen `mul.Tensor`).",
        takes: Takes::Numbers,
        gradients: [|g, n| g.mul(n.dy, n.b), |g, n| g.mul(n.dy, n.a)],
    },
    Binary {
        name: "div",
        doc: "The quotient `a / b`; of integers rounded towards zero, and zero where b is zero \
              (ONNX `Div`, ATen `div.Tensor`).",
        takes: Takes::Numbers,
        gradients: [
            |g, n| g.div(n.dy, n.b),
            |g, n| {
                // In this order `a / a` gives both operands the same but for the sign.
                let product = g.mul(n.dy, n.y)?;
                let ratio = g.div(product, n.b)?;
                g.neg(ratio)
            },
        ],
    },
    Binary {
        name: "maximum",
        doc: "The larger of a and b, NaN where one is; of equal ones each gets half the gradient \
              (ONNX `Max`, ATen `maximum`).",
        takes: Takes::Numbers,
        gradients: [
            |g, n| part_of_winner(g, "lt", n.a, n.b, n.dy),
            |g, n| part_of_winner(g, "lt", n.b, n.a, n.dy),
        ],
    },
    Binary {
        name: "minimum",
        doc: "The smaller of a and b, NaN where one is; of equal ones each gets half the gradient \
              (ONNX `Min`, ATen `minimum`).",
        takes: Takes::Numbers,
        gradients: [
            |g, n| part_of_winner(g, "gt", n.a, n.b, n.dy),
            |g, n| part_of_winner(g, "gt", n.b, n.a, n.dy),
        ],
    },
    Binary {
        name: "pow",
        doc: "The power `a ^ b`; of integers it wraps, and with a negative exponent is rounded towards \
              zero. Where b is zero its slope in a is zero, and where a is zero and b not negative \
              its slope in b is (ONNX `Pow`, ATen `pow.Tensor_Tensor`).",
        takes: Takes::Numbers,
        gradients: [
            |g, n| {
                let less = g.offset(n.b, -1.0)?;
                let power = g.call("pow", &[n.a, less])?;
                let slope = g.mul(n.b, power)?;
                let product = g.mul(n.dy, slope)?;
                let zero = g.number_like(n.dy, 0.0)?;
                let flat = g.call("eq", &[n.b, zero])?;
                g.select(flat, zero, product)
            },
            |g, n| {
                let log = g.call("log", &[n.a])?;
                let slope = g.mul(n.y, log)?;
                let product = g.mul(n.dy, slope)?;
                let zero = g.number_like(n.dy, 0.0)?;
                let nothing = g.call("eq", &[n.a, zero])?;
                let upward = g.call("ge", &[n.b, zero])?;
                let flat = g.call("logical_and", &[nothing, upward])?;
                g.select(flat, zero, product)
            },
        ],
    },
];

/// What an operand of `maximum` or `minimum` gets: nothing where it `loses` against the other,
/// half where both are equal, else all.
fn part_of_winner(
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

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    BINARY.iter().try_for_each(|op| registry.register(op))
}

impl Op for &'static Binary {
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
