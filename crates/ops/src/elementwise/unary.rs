//! Ops of one operand, each an entry of one table: what it is, and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Gradient, GradientError, GraphBuilder, Infer, Op, OpRegistry, Operand,
    RegisterError, TypeError, Types, Value,
};

use crate::emit::Emit;
use crate::infer::Takes;

/// The gradient of `x`, from `x`, the result `y` and the gradient that arrived there.
pub(super) type Rule = fn(&mut GraphBuilder, Value, Value, Value) -> Result<Value, BuildError>;

pub(super) struct Unary {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    /// None where the result is piecewise constant.
    pub gradient: Option<Rule>,
}

const UNARY: &[Unary] = &[
    Unary {
        name: "copy",
        doc: "The operand itself, in memory of its own: what carries a value from device to \
              device (ONNX `Identity`, ATen `clone`).",
        takes: Takes::All,
        gradient: Some(|b, _, _, dy| b.call("copy", &[dy])),
    },
    Unary {
        name: "neg",
        doc: "The negative, `-x` (ONNX `Neg`, ATen `neg`).",
        takes: Takes::Numbers,
        gradient: Some(|b, _, _, dy| b.neg(dy)),
    },
    Unary {
        name: "abs",
        doc: "The magnitude, `|x|`; its slope at zero is taken as zero (ONNX `Abs`, ATen `abs`).",
        takes: Takes::Numbers,
        gradient: Some(|b, x, _, dy| {
            let sign = b.call("sign", &[x])?;
            b.mul(dy, sign)
        }),
    },
    Unary {
        name: "sign",
        doc: "-1, 0 or 1 as the element's sign is; NaN stays (ONNX `Sign`, ATen `sign`).",
        takes: Takes::Numbers,
        gradient: None,
    },
    Unary {
        name: "square",
        doc: "The square, `x * x` (ATen `square`).",
        takes: Takes::Numbers,
        gradient: Some(|b, x, _, dy| {
            let twice = b.scale(x, 2.0)?;
            b.mul(dy, twice)
        }),
    },
    Unary {
        name: "relu",
        doc: "The larger of x and zero; its slope at zero is zero (ONNX `Relu`, ATen `relu`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| b.call("relu_grad", &[y, dy])),
    },
    Unary {
        name: "tanh",
        doc: "The hyperbolic tangent (ONNX `Tanh`, ATen `tanh`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| b.call("tanh_grad", &[y, dy])),
    },
    Unary {
        name: "sigmoid",
        doc: "The logistic function, `1 / (1 + exp(-x))` (ONNX `Sigmoid`, ATen `sigmoid`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| b.call("sigmoid_grad", &[y, dy])),
    },
    Unary {
        name: "exp",
        doc: "The exponential (ONNX `Exp`, ATen `exp`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| b.mul(dy, y)),
    },
    Unary {
        name: "expm1",
        doc: "The exponential less one, exact near zero (ATen `expm1`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| {
            let slope = b.offset(y, 1.0)?;
            b.mul(dy, slope)
        }),
    },
    Unary {
        name: "log",
        doc: "The natural logarithm (ONNX `Log`, ATen `log`).",
        takes: Takes::Floats,
        gradient: Some(|b, x, _, dy| b.div(dy, x)),
    },
    Unary {
        name: "log1p",
        doc: "The natural logarithm of one more, exact near zero (ATen `log1p`).",
        takes: Takes::Floats,
        gradient: Some(|b, x, _, dy| {
            let more = b.offset(x, 1.0)?;
            b.div(dy, more)
        }),
    },
    Unary {
        name: "sqrt",
        doc: "The square root (ONNX `Sqrt`, ATen `sqrt`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| {
            let twice = b.scale(y, 2.0)?;
            b.div(dy, twice)
        }),
    },
    Unary {
        name: "rsqrt",
        doc: "One by the square root (ATen `rsqrt`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| {
            let square = b.call("square", &[y])?;
            let cube = b.mul(square, y)?;
            let half = b.scale(dy, -0.5)?;
            b.mul(half, cube)
        }),
    },
    Unary {
        name: "reciprocal",
        doc: "One by the element (ONNX `Reciprocal`, ATen `reciprocal`).",
        takes: Takes::Floats,
        gradient: Some(|b, _, y, dy| {
            let square = b.call("square", &[y])?;
            let product = b.mul(dy, square)?;
            b.neg(product)
        }),
    },
    Unary {
        name: "sin",
        doc: "The sine of an angle in radians (ONNX `Sin`, ATen `sin`).",
        takes: Takes::Floats,
        gradient: Some(|b, x, _, dy| {
            let slope = b.call("cos", &[x])?;
            b.mul(dy, slope)
        }),
    },
    Unary {
        name: "cos",
        doc: "The cosine of an angle in radians (ONNX `Cos`, ATen `cos`).",
        takes: Takes::Floats,
        gradient: Some(|b, x, _, dy| {
            let sine = b.call("sin", &[x])?;
            let product = b.mul(dy, sine)?;
            b.neg(product)
        }),
    },
    Unary {
        name: "erf",
        doc: "The error function (ONNX `Erf`, ATen `erf`).",
        takes: Takes::Floats,
        gradient: Some(|b, x, _, dy| {
            let square = b.call("square", &[x])?;
            let exponent = b.neg(square)?;
            let bell = b.call("exp", &[exponent])?;
            let slope = b.scale(bell, std::f64::consts::FRAC_2_SQRT_PI)?;
            b.mul(dy, slope)
        }),
    },
    Unary {
        name: "floor",
        doc: "The largest integer not above (ONNX `Floor`, ATen `floor`).",
        takes: Takes::Floats,
        gradient: None,
    },
    Unary {
        name: "ceil",
        doc: "The smallest integer not below (ONNX `Ceil`, ATen `ceil`).",
        takes: Takes::Floats,
        gradient: None,
    },
    Unary {
        name: "round",
        doc: "The nearest integer, halves to even (ONNX `Round`, ATen `round`).",
        takes: Takes::Floats,
        gradient: None,
    },
];

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    UNARY.iter().try_for_each(|op| registry.register(op))
}

impl Op for &'static Unary {
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
