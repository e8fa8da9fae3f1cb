//! The op `log_softmax`.

use super::exponential::Exponential;
use crate::emit::Emit;

/// The op `log_softmax`.
pub(super) const OP: Exponential = Exponential {
    name: "log_softmax",
    doc: "The natural logarithm of the softmax along an axis, in nats (ONNX `LogSoftmax`, ATen \
          `log_softmax.int`).",
    rule: |cx, dy, axis| {
        let total = cx.b.sum(dy, &[axis], true)?;
        let probs = cx.b.call("exp", &[cx.results[0]])?;
        let part = cx.b.mul(probs, total)?;
        cx.b.sub(dy, part)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("log_softmax")
            .gives("f32[n, 4, t] {axis=1}", "f32[n, 4, t]")
            .gives("?[*] {axis=7}", "?[*]")
            .refuses("f32[n, 4] {axis=2}", "outside")
            .refuses("i64[n, 4] {axis=1}", "float")
            .refuses("f32[n, 4]", "`axis` is missing")
            .differentiates("f32[n, 4, t] {axis=-1}")
            .differentiates("f32[n, 4, t] {axis=0}")
            .differentiates("f32[n, 4, t] {axis=1}")
            .flops("f32[2, 3] {axis=1}", 30);
    }
}
