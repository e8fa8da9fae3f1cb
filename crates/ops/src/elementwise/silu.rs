//! The op `silu` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Expand, Gradient, GradientError, GraphBuilder, Infer, Op, Operand, TypeError,
    Types, Value, Values,
};

use super::slope::Slope;
use crate::emit::Emit;

/// The op `silu`.
pub(super) struct Silu;

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
        cx.float(0)?;
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3]")
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

/// The op `silu_grad`.
pub(super) const GRAD: Slope = Slope {
    name: "silu_grad",
    doc: "The gradient of `silu`: `dy * s * (1 + x * (1 - s))` with s the sigmoid of x (ATen \
          `silu_backward`).",
    operands: &[Operand::one("x"), Operand::one("dy")],
    broadcasts: false,
    parts: |b, n| {
        let slope = slope(b, n[0])?;
        b.mul(n[1], slope)
    },
};

/// The derivative of `silu`.
fn slope(b: &mut GraphBuilder, x: Value) -> Result<Value, BuildError> {
    let s = b.call("sigmoid", &[x])?;
    let one = b.number_like(x, 1.0)?;
    let rest = b.sub(one, s)?;
    let product = b.mul(x, rest)?;
    let more = b.offset(product, 1.0)?;
    b.mul(s, more)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("silu")
            .gives("f32[n, 4]", "f32[n, 4]")
            .refuses("i64[n]", "must be a float")
            .differentiates("f32[n, 4]")
            .decomposes("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }

    #[test]
    fn the_gradient_has_the_type_of_its_operands() {
        check("silu_grad")
            .gives("f32[n, 4], f32[n, 4]", "f32[n, 4]")
            .decomposes("f32[n, 4], f32[n, 4]")
            .refuses("f32[n, 4], f32[4]", "has dims")
            .refuses("i64[4], i64[4]", "must be a float")
            .flops("f32[2, 3], f32[2, 3]", 6);
    }
}
