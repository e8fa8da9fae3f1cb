//! The op `bce_with_logits`.

use syncarp_ir::Operand;

use super::pointwise::Pointwise;
use crate::emit::Emit;

/// The op `bce_with_logits`.
pub(super) const OP: Pointwise = Pointwise {
    name: "bce_with_logits",
    doc: "The mean of the binary cross-entropies, in nats, of the sigmoid of x with the target, a \
          probability, of one shape (ATen `binary_cross_entropy_with_logits`).",
    operands: &[Operand::one("x"), Operand::one("target")],
    flops: 7,
    each: |g, v| {
        // max(x, 0) - x t + log(1 + exp(-|x|)) never overflows. At x = 0 `maximum` passes half
        // the gradient and `abs` none, which together is the sigmoid's half.
        let zero = g.number_like(v[0], 0.0)?;
        let above = g.call("maximum", &[v[0], zero])?;
        let product = g.mul(v[0], v[1])?;
        let line = g.sub(above, product)?;
        let magnitude = g.call("abs", &[v[0]])?;
        let below = g.neg(magnitude)?;
        let exp = g.call("exp", &[below])?;
        let log = g.call("log1p", &[exp])?;
        g.add(line, log)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_is_a_scalar_that_decomposes() {
        check("bce_with_logits")
            .gives("f32[n, 3], f32[n, 3]", "f32[]")
            .gives("f32[n, 3], ?[*]", "f32[]")
            .refuses("f32[n, 3], f32[n]", "dims")
            .refuses("f32[n, 1], f32[1, n]", "dims")
            .refuses("i64[n], i64[n]", "float")
            .decomposes("f32[n, 3], f32[n, 3]")
            .flops("f32[2, 3], f32[2, 3]", 42);
    }
}
