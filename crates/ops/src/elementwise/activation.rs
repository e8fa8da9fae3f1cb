//! Activations that are taken apart into arithmetic, each an entry of one table. Their gradients
//! are those of their parts, chosen so that no infinity meets a zero on the way back.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Dim, Expand, GraphBuilder, Infer, Op, OpRegistry, Operand, RegisterError, Shape,
    TensorType, TypeError, Types, Value, Values,
};

use crate::emit::Emit;
use crate::infer::{Takes, broadcast_all};

type Parts = fn(&mut GraphBuilder, &[Value]) -> Result<Value, BuildError>;

struct Activation {
    name: &'static str,
    doc: &'static str,
    operands: &'static [Operand],
    takes: Takes,
    parts: Parts,
}

const X: &[Operand] = &[Operand::one("x")];
const BOUNDED: &[Operand] = &[Operand::one("x"), Operand::one("low"), Operand::one("high")];

const ACTIVATIONS: &[Activation] = &[
    Activation {
        name: "softplus",
        doc: "A smooth relu, `log(1 + exp(beta * x)) / beta`, and x itself where `beta * x` is \
              above the threshold (20 by default); operands broadcast (ONNX `Softplus`, ATen \
              `softplus`).",
        operands: &[
            Operand::one("x"),
            Operand::one("beta"),
            Operand::optional("threshold"),
        ],
        takes: Takes::Floats,
        parts: |b, operands| {
            let (x, beta) = (operands[0], operands[1]);
            let scaled = b.mul(x, beta)?;
            let soft = softplus(b, scaled)?;
            let soft = b.div(soft, beta)?;
            let threshold = match operands.get(2) {
                Some(threshold) => *threshold,
                None => b.number_like(x, 20.0)?,
            };
            let linear = b.call("gt", &[scaled, threshold])?;
            b.select(linear, x, soft)
        },
    },
    Activation {
        name: "logsigmoid",
        doc: "The logarithm of the sigmoid (ATen `log_sigmoid`).",
        operands: X,
        takes: Takes::Floats,
        parts: |b, operands| {
            let negative = b.neg(operands[0])?;
            let soft = softplus(b, negative)?;
            b.neg(soft)
        },
    },
    Activation {
        name: "mish",
        doc: "The element times the tanh of its softplus (ONNX `Mish`, ATen `mish`).",
        operands: X,
        takes: Takes::Floats,
        parts: |b, operands| {
            let soft = softplus(b, operands[0])?;
            let gate = b.call("tanh", &[soft])?;
            b.mul(operands[0], gate)
        },
    },
    Activation {
        name: "selu",
        doc: "The self-normalising unit: `scale * x` above zero, else \
              `scale * alpha * (exp(x) - 1)`, with alpha 1.6733 and scale 1.0507 (ONNX `Selu`, \
              ATen `selu`).",
        operands: X,
        takes: Takes::Floats,
        parts: |b, operands| {
            const ALPHA: f64 = 1.673_263_242_354_377_2;
            const SCALE: f64 = 1.050_700_987_355_480_5;
            let x = operands[0];
            let zero = b.number_like(x, 0.0)?;
            let on = b.call("gt", &[x, zero])?;
            let above = b.scale(x, SCALE)?;
            let negative = b.select(on, zero, x)?;
            let power = b.call("expm1", &[negative])?;
            let below = b.scale(power, ALPHA * SCALE)?;
            b.select(on, above, below)
        },
    },
    Activation {
        name: "softsign",
        doc: "`x / (1 + |x|)` (ONNX `Softsign`, ATen `softsign`).",
        operands: X,
        takes: Takes::Floats,
        parts: |b, operands| {
            let magnitude = b.call("abs", &[operands[0]])?;
            let more = b.offset(magnitude, 1.0)?;
            b.div(operands[0], more)
        },
    },
    Activation {
        name: "clamp",
        doc: "The element, at least low and at most high; where it is at a bound or outside, the \
              bound gets the gradient. Operands broadcast (ONNX `Clip`, ATen `clamp`).",
        operands: BOUNDED,
        takes: Takes::Numbers,
        parts: |b, operands| bounded(b, operands[0], operands[1], operands[2]),
    },
    Activation {
        name: "hardtanh",
        doc: "The same as `clamp` for floats (ATen `hardtanh`).",
        operands: BOUNDED,
        takes: Takes::Floats,
        parts: |b, operands| bounded(b, operands[0], operands[1], operands[2]),
    },
    Activation {
        name: "relu6",
        doc: "The element, at least 0 and at most 6 (ATen `relu6`).",
        operands: X,
        takes: Takes::Floats,
        parts: |b, operands| relu6(b, operands[0]),
    },
    Activation {
        name: "hardsigmoid",
        doc: "`relu6(x + 3) / 6` (ATen `hardsigmoid`).",
        operands: X,
        takes: Takes::Floats,
        parts: |b, operands| {
            let moved = b.offset(operands[0], 3.0)?;
            let bounded = relu6(b, moved)?;
            let six = b.number_like(bounded, 6.0)?;
            b.div(bounded, six)
        },
    },
    Activation {
        name: "hardswish",
        doc: "`x * relu6(x + 3) / 6` (ONNX `HardSwish`, ATen `hardswish`).",
        operands: X,
        takes: Takes::Floats,
        parts: |b, operands| {
            let moved = b.offset(operands[0], 3.0)?;
            let bounded = relu6(b, moved)?;
            let product = b.mul(operands[0], bounded)?;
            let six = b.number_like(product, 6.0)?;
            b.div(product, six)
        },
    },
];

/// `log(1 + exp(z))` without overflow. At zero both `maximum` (a half, being tied) and `abs` (zero)
/// have the slopes that add up to the true one.
fn softplus(b: &mut GraphBuilder, z: Value) -> Result<Value, BuildError> {
    let zero = b.number_like(z, 0.0)?;
    let larger = b.call("maximum", &[z, zero])?;
    let magnitude = b.call("abs", &[z])?;
    let exponent = b.neg(magnitude)?;
    let power = b.call("exp", &[exponent])?;
    let rest = b.call("log1p", &[power])?;
    b.add(larger, rest)
}

/// `x` within bounds.
fn bounded(b: &mut GraphBuilder, x: Value, low: Value, high: Value) -> Result<Value, BuildError> {
    let below = b.call("le", &[x, low])?;
    let raised = b.select(below, low, x)?;
    // What was raised is compared again, so that of crossed bounds the upper one holds.
    let above = b.call("ge", &[raised, high])?;
    b.select(above, high, raised)
}

fn relu6(b: &mut GraphBuilder, x: Value) -> Result<Value, BuildError> {
    let low = b.number_like(x, 0.0)?;
    let high = b.number_like(x, 6.0)?;
    bounded(b, x, low, high)
}

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    ACTIVATIONS
        .iter()
        .try_for_each(|op| registry.register(op))?;
    registry.register(Prelu)
}

impl Op for &'static Activation {
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

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((self.parts)(cx.b, cx.operands).map(|v| smallvec![v]))
    }
}

struct Prelu;

impl Op for Prelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn doc(&self) -> &'static str {
        "The element where it is above zero, else times a learned weight: w is [c] and belongs to \
         dim 1 of x [n, c, ...], or has one element for all (ATen `prelu`; ONNX `PRelu` where its \
         slope has this form)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("w")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
        let shape = cx.operand(0)?.shape.clone();
        match (&shape, cx.dims(1)?) {
            (_, Some([])) | (None, Some([_])) | (_, None) => {}
            (Some(x), Some([c])) if *c == Dim::Known(1) || x.get(1) == Some(c) => {}
            (_, Some(_)) => {
                let (x, w) = (cx.operand(0)?, cx.operand(1)?);
                let message = format!("w must have one element or as many as dim 1 of {x}, is {w}");
                return Err(TypeError::new(message));
            }
        }
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let (x, w) = (cx.operands[0], cx.operands[1]);
        let mut parts = || {
            let b = &mut *cx.b;
            let rank = b.dims_of(x)?.len();
            let mut dims: Shape = b.dims_of(w)?;
            if dims.first().is_some_and(|c| *c == Dim::Known(1)) {
                dims.clear();
            } else if !dims.is_empty() {
                dims.resize(rank.saturating_sub(1).max(1), Dim::Known(1));
            }
            let w = b.reshape_to(w, &dims)?;
            let zero = b.number_like(x, 0.0)?;
            let on = b.call("gt", &[x, zero])?;
            let below = b.mul(w, x)?;
            b.select(on, x, below)
        };
        Some(parts().map(|v| smallvec![v]))
    }
}
