//! Activations with kernels and gradients of their own because networks spend time in them:
//! `gelu`, `silu`, `leaky_relu` and `elu`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, BuildError, Expand, Gradient, GradientError,
    GraphBuilder, Infer, Op, OpRegistry, Operand, RegisterError, TensorType, TypeError, Types,
    Value, Values,
};

use crate::emit::Emit;
use crate::infer::{Takes, broadcast_all};

/// The attribute of `gelu` that picks the formula.
pub(super) const APPROXIMATE: AttrSpec = AttrSpec::optional(
    "approximate",
    AttrKind::Str,
    "\"none\" (the default) for the error function, \"tanh\" for the approximation by `tanh`.",
)
.or(AttrDefault::Str("none"));

/// The square root of two by pi.
const ROOT: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044715;

/// Whether the attribute asks for the approximation.
pub(super) fn is_tanh(attrs: &Attrs) -> Result<bool, TypeError> {
    match attrs.str("approximate").map(|s| &**s) {
        None | Some("none") => Ok(false),
        Some("tanh") => Ok(true),
        Some(other) => {
            let message = format!("`approximate` must be \"none\" or \"tanh\", not {other:?}");
            Err(TypeError::new(message))
        }
    }
}

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(Gelu)?;
    registry.register(Silu)?;
    registry.register(LeakyRelu)?;
    registry.register(Elu)
}

/// The distribution function of the normal distribution at x, `(1 + erf(x / sqrt 2)) / 2`.
fn normal(b: &mut GraphBuilder, x: Value) -> Result<Value, BuildError> {
    let scaled = b.scale(x, std::f64::consts::FRAC_1_SQRT_2)?;
    let erf = b.call("erf", &[scaled])?;
    let more = b.offset(erf, 1.0)?;
    b.scale(more, 0.5)
}

/// `tanh(sqrt(2 / pi) * (x + 0.044715 x^3))` and the square of x.
fn gelu_tanh(b: &mut GraphBuilder, x: Value) -> Result<(Value, Value), BuildError> {
    let square = b.call("square", &[x])?;
    let cube = b.mul(square, x)?;
    let bent = b.scale(cube, CUBIC)?;
    let sum = b.add(x, bent)?;
    let inner = b.scale(sum, ROOT)?;
    Ok((b.call("tanh", &[inner])?, square))
}

/// The derivative of `gelu`.
pub(super) fn gelu_slope(b: &mut GraphBuilder, x: Value, tanh: bool) -> Result<Value, BuildError> {
    if !tanh {
        let left = normal(b, x)?;
        let square = b.call("square", &[x])?;
        let exponent = b.scale(square, -0.5)?;
        let bell = b.call("exp", &[exponent])?;
        let density = b.scale(bell, ROOT * 0.5)?;
        let right = b.mul(x, density)?;
        return b.add(left, right);
    }
    let (t, square) = gelu_tanh(b, x)?;
    let more = b.offset(t, 1.0)?;
    let left = b.scale(more, 0.5)?;
    let tt = b.call("square", &[t])?;
    let one = b.number_like(x, 1.0)?;
    let steep = b.sub(one, tt)?;
    let bent = b.scale(square, 3.0 * CUBIC)?;
    let bent = b.offset(bent, 1.0)?;
    let inner = b.scale(bent, ROOT * 0.5)?;
    let product = b.mul(x, steep)?;
    let right = b.mul(product, inner)?;
    b.add(left, right)
}

/// The derivative of `silu`.
pub(super) fn silu_slope(b: &mut GraphBuilder, x: Value) -> Result<Value, BuildError> {
    let s = b.call("sigmoid", &[x])?;
    let one = b.number_like(x, 1.0)?;
    let rest = b.sub(one, s)?;
    let product = b.mul(x, rest)?;
    let more = b.offset(product, 1.0)?;
    b.mul(s, more)
}

fn same_type(cx: &Infer<'_>) -> Result<Types, TypeError> {
    cx.float(0)?;
    Ok(smallvec![cx.operand(0)?.clone()])
}

fn broadcast_type(cx: &Infer<'_>) -> Result<Types, TypeError> {
    let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
    let shape = broadcast_all(cx, 0..2)?;
    Ok(smallvec![TensorType { dtype, shape }])
}

struct Gelu;

impl Op for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn doc(&self) -> &'static str {
        "The element times the normal distribution function at it, exactly or by `tanh` \
         (ONNX `Gelu`, ATen `gelu`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[APPROXIMATE] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        is_tanh(cx.attrs)?;
        same_type(cx)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx =
                cx.b.call_with("gelu_grad", &[cx.operands[0], dy], cx.attrs.clone())?;
            cx.give(0, dx);
        }
        Ok(())
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let x = cx.operands[0];
        let tanh = is_tanh(cx.attrs).unwrap_or(false);
        let mut parts = || {
            let b = &mut *cx.b;
            if !tanh {
                let left = normal(b, x)?;
                return b.mul(x, left);
            }
            let (t, _) = gelu_tanh(b, x)?;
            let more = b.offset(t, 1.0)?;
            let half = b.scale(x, 0.5)?;
            b.mul(half, more)
        };
        Some(parts().map(|v| smallvec![v]))
    }
}

struct Silu;

impl Op for Silu {
    fn name(&self) -> &'static str {
        "silu"
    }

    fn doc(&self) -> &'static str {
        "The element times its sigmoid, also called swish (ONNX `Swish`, ATen `silu`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        same_type(cx)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.call("silu_grad", &[cx.operands[0], dy])?;
            cx.give(0, dx);
        }
        Ok(())
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let x = cx.operands[0];
        let mut parts = || {
            let s = cx.b.call("sigmoid", &[x])?;
            cx.b.mul(x, s)
        };
        Some(parts().map(|v| smallvec![v]))
    }
}

/// Where x is above zero, and x there replaced by zero.
fn negative_part(b: &mut GraphBuilder, x: Value) -> Result<(Value, Value), BuildError> {
    let zero = b.number_like(x, 0.0)?;
    let on = b.call("gt", &[x, zero])?;
    Ok((on, b.select(on, zero, x)?))
}

/// The gradients of an activation `x where x > 0, else parameter * below(x)`.
fn bent_gradient(
    cx: &mut Gradient<'_>,
    grad: &str,
    below: fn(&mut GraphBuilder, Value) -> Result<Value, BuildError>,
) -> Result<(), GradientError> {
    let Some(dy) = cx.arrived[0] else {
        return Ok(());
    };
    let (x, parameter) = (cx.operands[0], cx.operands[1]);
    if cx.wants(0) {
        let whole = cx.b.call(grad, &[x, parameter, dy])?;
        let dx = cx.b.sum_to_like(whole, x)?;
        cx.give(0, dx);
    }
    if cx.wants(1) {
        // Where x is above zero, the part below is zero and so is its share of the gradient.
        let (_, negative) = negative_part(cx.b, x)?;
        let slope = below(cx.b, negative)?;
        let whole = cx.b.mul(dy, slope)?;
        let gradient = cx.b.sum_to_like(whole, parameter)?;
        cx.give(1, gradient);
    }
    Ok(())
}

struct LeakyRelu;

impl Op for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }

    fn doc(&self) -> &'static str {
        "The element where it is above zero, else `slope * x`; operands broadcast \
         (ONNX `LeakyRelu`, ATen `leaky_relu`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("slope")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        broadcast_type(cx)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        bent_gradient(cx, "leaky_relu_grad", |_, x| Ok(x))
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let (x, slope) = (cx.operands[0], cx.operands[1]);
        let mut parts = || {
            let zero = cx.b.number_like(x, 0.0)?;
            let on = cx.b.call("gt", &[x, zero])?;
            let below = cx.b.mul(x, slope)?;
            cx.b.select(on, x, below)
        };
        Some(parts().map(|v| smallvec![v]))
    }
}

struct Elu;

impl Op for Elu {
    fn name(&self) -> &'static str {
        "elu"
    }

    fn doc(&self) -> &'static str {
        "The element where it is above zero, else `alpha * (exp(x) - 1)`; operands broadcast \
         (ONNX `Elu`, ATen `elu`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("alpha")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        broadcast_type(cx)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        bent_gradient(cx, "elu_grad", |b, x| b.call("expm1", &[x]))
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let (x, alpha) = (cx.operands[0], cx.operands[1]);
        let mut parts = || {
            let (on, negative) = negative_part(cx.b, x)?;
            let power = cx.b.call("expm1", &[negative])?;
            let below = cx.b.mul(alpha, power)?;
            cx.b.select(on, x, below)
        };
        Some(parts().map(|v| smallvec![v]))
    }
}
