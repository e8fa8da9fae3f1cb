//! The op `gelu` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, BuildError, Expand, Gradient, GradientError,
    GraphBuilder, Infer, Op, Operand, TensorType, TypeError, Types, Value, Values,
};

use crate::emit::Emit;
use crate::infer::{Takes, one_shape};

/// The attribute of `gelu` that picks the formula.
const APPROXIMATE: AttrSpec = AttrSpec::optional(
    "approximate",
    AttrKind::Str,
    "\"none\" for the error function, \"tanh\" for the approximation by `tanh`.",
)
.or(AttrDefault::Str("none"));

/// The square root of two by pi.
const ROOT: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044715;

/// Whether the attribute asks for the approximation.
fn is_tanh(attrs: &Attrs) -> Result<bool, TypeError> {
    match attrs.str("approximate").map(|s| &**s) {
        None | Some("none") => Ok(false),
        Some("tanh") => Ok(true),
        Some(other) => {
            let message = format!("`approximate` must be \"none\" or \"tanh\", not {other:?}");
            Err(TypeError::new(message))
        }
    }
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
fn slope(b: &mut GraphBuilder, x: Value, tanh: bool) -> Result<Value, BuildError> {
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

/// The op `gelu`.
pub(super) struct Gelu;

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
        cx.float(0)?;
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3]")
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

/// The op `gelu_grad`.
pub(super) struct GeluGrad;

impl Op for GeluGrad {
    fn name(&self) -> &'static str {
        "gelu_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `gelu` (ATen `gelu_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("dy")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[APPROXIMATE] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        is_tanh(cx.attrs)?;
        let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
        let shape = one_shape(cx, 0..2)?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[2, 3]")
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let (x, dy) = (cx.operands[0], cx.operands[1]);
        let tanh = is_tanh(cx.attrs).unwrap_or(false);
        let slope = slope(cx.b, x, tanh);
        Some(slope.and_then(|slope| Ok(smallvec![cx.b.mul(dy, slope)?])))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("gelu")
            .gives("f32[n, 4]", "f32[n, 4]")
            .refuses("i64[n]", "must be a float")
            .refuses("f32[n] {approximate=\"fast\"}", "\"none\" or \"tanh\"")
            .differentiates("f32[n, 4]")
            .decomposes("f32[n, 4]")
            .decomposes("f32[n, 4] {approximate=\"tanh\"}")
            .flops("f32[2, 3]", 6);
    }

    #[test]
    fn the_gradient_has_the_type_of_its_operands() {
        check("gelu_grad")
            .gives("f32[n, 4], f32[n, 4]", "f32[n, 4]")
            .decomposes("f32[n, 4], f32[n, 4]")
            .decomposes("f32[n, 4], f32[n, 4] {approximate=\"tanh\"}")
            .refuses("f32[n, 4], f32[4]", "has dims")
            .flops("f32[2, 3], f32[2, 3]", 6);
    }
}
