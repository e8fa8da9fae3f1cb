//! The op `mse_loss`.

use syncarp_ir::Operand;

use super::pointwise::Pointwise;
use crate::emit::Emit;

/// The op `mse_loss`.
pub(super) const OP: Pointwise = Pointwise {
    name: "mse_loss",
    doc: "The mean of the squared differences of a and b, of one shape (ATen `mse_loss`).",
    operands: &[Operand::one("a"), Operand::one("b")],
    flops: 3,
    each: |g, v| {
        let difference = g.sub(v[0], v[1])?;
        g.call("square", &[difference])
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_is_a_scalar_that_decomposes() {
        check("mse_loss")
            .gives("f32[n, 3], f32[n, 3]", "f32[]")
            .gives("f32[n, 3], ?[*]", "f32[]")
            .refuses("f32[n, 3], f32[n]", "dims")
            .refuses("f32[n, 1], f32[1, n]", "dims")
            .refuses("i64[n], i64[n]", "float")
            .decomposes("f32[n, 3], f32[n, 3]")
            .flops("f32[2, 3], f32[2, 3]", 18);
    }
}
