//! The op `huber_loss`.

use syncarp_ir::Operand;

use super::pointwise::Pointwise;
use crate::emit::Emit;

/// The op `huber_loss`.
pub(super) const OP: Pointwise = Pointwise {
    name: "huber_loss",
    doc: "The mean of half the squared differences of a and b, of one shape, which goes on as a \
          line where a difference is larger than the scalar delta (ATen `huber_loss`).",
    operands: &[Operand::one("a"), Operand::one("b"), Operand::one("delta")],
    flops: 6,
    each: |g, v| {
        // With m the smaller of |d| and delta, both branches are m (|d| - m / 2).
        let difference = g.sub(v[0], v[1])?;
        let magnitude = g.call("abs", &[difference])?;
        let least = g.call("minimum", &[magnitude, v[2]])?;
        let half = g.scale(least, 0.5)?;
        let rest = g.sub(magnitude, half)?;
        g.mul(least, rest)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_is_a_scalar_that_decomposes() {
        check("huber_loss")
            .gives("f32[n, 3], f32[n, 3], f32[]", "f32[]")
            .gives("f32[n, 3], ?[*], f32[]", "f32[]")
            .refuses("f32[n, 3], f32[n], f32[]", "dims")
            .refuses("f32[n, 1], f32[1, n], f32[]", "dims")
            .refuses("i64[n], i64[n], f32[]", "float")
            .decomposes("f32[n, 3], f32[n, 3], f32[]")
            .flops("f32[2, 3], f32[2, 3], f32[]", 36);
    }
}
