//! The op `softplus`.

use syncarp_ir::{BuildError, GraphBuilder, Operand, Value};

use super::activation::Activation;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `softplus`.
pub(super) const OP: Activation = Activation {
    name: "softplus",
    doc: "A smooth relu, `log(1 + exp(beta * x)) / beta`, and x itself where `beta * x` is above \
          the threshold (20 by default); operands broadcast (ONNX `Softplus`, ATen `softplus`).",
    operands: &[
        Operand::one("x"),
        Operand::one("beta"),
        Operand::optional("threshold"),
    ],
    takes: Takes::Floats,
    example: "f32[2, 3], f32[]",
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
};

/// `log(1 + exp(z))` without overflow. At zero both `maximum` (a half, being tied) and `abs` (zero)
/// have the slopes that add up to the true one.
pub(super) fn softplus(b: &mut GraphBuilder, z: Value) -> Result<Value, BuildError> {
    let zero = b.number_like(z, 0.0)?;
    let larger = b.call("maximum", &[z, zero])?;
    let magnitude = b.call("abs", &[z])?;
    let exponent = b.neg(magnitude)?;
    let power = b.call("exp", &[exponent])?;
    let rest = b.call("log1p", &[power])?;
    b.add(larger, rest)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("softplus")
            .gives("f32[n, 4], f32[]", "f32[n, 4]")
            .refuses("i64[4], i64[]", "must be a float")
            .refuses("f32[4], f64[]", "f64")
            .decomposes("f32[n, 4], f32[]")
            .decomposes("f32[n, 4], f32[], f32[]")
            .flops("f32[2, 3], f32[]", 6);
    }
}
