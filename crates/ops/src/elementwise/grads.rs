//! Gradients of activations as ops of their own, so that an engine reads and writes memory once.
//! Another engine may take them apart. They have no gradient themselves.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, BuildError, Expand, GraphBuilder, Infer, Op, OpRegistry, Operand, RegisterError,
    TensorType, TypeError, Types, Value, Values,
};

use super::smooth::{APPROXIMATE, gelu_slope, is_tanh, silu_slope};
use crate::emit::Emit;
use crate::infer::{Takes, broadcast_all, one_shape};

type Parts = fn(&mut GraphBuilder, &Parted<'_>) -> Result<Value, BuildError>;

/// What a decomposition reads beside the builder.
struct Parted<'a> {
    operands: &'a [Value],
    tanh: bool,
}

struct Slope {
    name: &'static str,
    doc: &'static str,
    operands: &'static [Operand],
    attributes: &'static [AttrSpec],
    /// Whether operands broadcast; else all have one shape.
    broadcasts: bool,
    parts: Parts,
}

const SLOPES: &[Slope] = &[
    Slope {
        name: "relu_grad",
        doc: "The gradient of `relu`: dy where the result y is above zero, else zero (ATen \
              `threshold_backward`).",
        operands: &[Operand::one("y"), Operand::one("dy")],
        attributes: &[],
        broadcasts: false,
        parts: |b, n| {
            let zero = b.number_like(n.operands[0], 0.0)?;
            let off = b.call("le", &[n.operands[0], zero])?;
            b.select(off, zero, n.operands[1])
        },
    },
    Slope {
        name: "tanh_grad",
        doc: "The gradient of `tanh`: `dy * (1 - y * y)` (ATen `tanh_backward`).",
        operands: &[Operand::one("y"), Operand::one("dy")],
        attributes: &[],
        broadcasts: false,
        parts: |b, n| {
            let square = b.call("square", &[n.operands[0]])?;
            let one = b.number_like(square, 1.0)?;
            let slope = b.sub(one, square)?;
            b.mul(n.operands[1], slope)
        },
    },
    Slope {
        name: "sigmoid_grad",
        doc: "The gradient of `sigmoid`: `dy * (1 - y) * y` (ATen `sigmoid_backward`).",
        operands: &[Operand::one("y"), Operand::one("dy")],
        attributes: &[],
        broadcasts: false,
        parts: |b, n| {
            let one = b.number_like(n.operands[0], 1.0)?;
            let rest = b.sub(one, n.operands[0])?;
            let product = b.mul(n.operands[1], rest)?;
            b.mul(product, n.operands[0])
        },
    },
    Slope {
        name: "silu_grad",
        doc: "The gradient of `silu`: `dy * s * (1 + x * (1 - s))` with s the sigmoid of x (ATen \
              `silu_backward`).",
        operands: &[Operand::one("x"), Operand::one("dy")],
        attributes: &[],
        broadcasts: false,
        parts: |b, n| {
            let slope = silu_slope(b, n.operands[0])?;
            b.mul(n.operands[1], slope)
        },
    },
    Slope {
        name: "gelu_grad",
        doc: "The gradient of `gelu` (ATen `gelu_backward`).",
        operands: &[Operand::one("x"), Operand::one("dy")],
        attributes: &[APPROXIMATE],
        broadcasts: false,
        parts: |b, n| {
            let slope = gelu_slope(b, n.operands[0], n.tanh)?;
            b.mul(n.operands[1], slope)
        },
    },
    Slope {
        name: "leaky_relu_grad",
        doc: "The gradient of `leaky_relu` in x: dy where x is above zero, else `dy * slope`; \
              operands broadcast (ATen `leaky_relu_backward`).",
        operands: &[Operand::one("x"), Operand::one("slope"), Operand::one("dy")],
        attributes: &[],
        broadcasts: true,
        parts: |b, n| {
            let zero = b.number_like(n.operands[0], 0.0)?;
            let on = b.call("gt", &[n.operands[0], zero])?;
            let below = b.mul(n.operands[2], n.operands[1])?;
            b.select(on, n.operands[2], below)
        },
    },
    Slope {
        name: "elu_grad",
        doc: "The gradient of `elu` in x: dy where x is above zero, else `dy * alpha * exp(x)`; \
              operands broadcast (ATen `elu_backward`).",
        operands: &[Operand::one("x"), Operand::one("alpha"), Operand::one("dy")],
        attributes: &[],
        broadcasts: true,
        parts: |b, n| {
            let zero = b.number_like(n.operands[0], 0.0)?;
            let on = b.call("gt", &[n.operands[0], zero])?;
            let below = b.select(on, zero, n.operands[0])?;
            let power = b.call("exp", &[below])?;
            let scaled = b.mul(n.operands[2], n.operands[1])?;
            let slope = b.mul(scaled, power)?;
            b.select(on, n.operands[2], slope)
        },
    },
];

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    SLOPES.iter().try_for_each(|op| registry.register(op))
}

impl Op for &'static Slope {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        self.operands
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        self.attributes
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        is_tanh(cx.attrs)?;
        let count = self.operands.len();
        let dtype = Takes::Floats.one_dtype(cx, 0..count)?;
        let shape = if self.broadcasts {
            broadcast_all(cx, 0..count)?
        } else {
            one_shape(cx, 0..count)?
        };
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let tanh = is_tanh(cx.attrs).unwrap_or(false);
        let result = (self.parts)(
            cx.b,
            &Parted {
                operands: cx.operands,
                tanh,
            },
        );
        Some(result.map(|v| smallvec![v]))
    }
}
