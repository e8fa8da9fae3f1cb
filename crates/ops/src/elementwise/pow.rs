//! The op `pow`.

use super::binary::Binary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `pow`.
pub(super) const OP: Binary = Binary {
    name: "pow",
    doc: "The power `a ^ b`; of integers it wraps, and with a negative exponent is rounded towards \
          zero. Where b is zero its slope in a is zero, and where a is zero and b not negative its \
          slope in b is (ONNX `Pow`, ATen `pow.Tensor_Tensor`).",
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
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn operands_broadcast() {
        check("pow")
            .gives("f32[n, 1, 4], f32[3, 1]", "f32[n, 3, 4]")
            .gives("?[*], f32[3]", "f32[*]")
            .refuses("f32[n], f32[3]", "do not broadcast")
            .refuses("f32[3], f64[3]", "f64")
            .refuses("bool[3], bool[3]", "not bool")
            .differentiates("f32[n, 1, 4], f32[3, 1]")
            .differentiates("f32[n, 4], f32[]")
            .flops("f32[2, 3], f32[]", 6);
    }
}
