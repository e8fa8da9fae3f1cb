//! The op `softmax`.

use super::exponential::Exponential;
use crate::emit::Emit;

/// The op `softmax`.
pub(super) const OP: Exponential = Exponential {
    name: "softmax",
    doc: "Exponentials along an axis divided by their sum (ONNX `Softmax`, ATen `softmax.int`).",
    rule: |cx, dy, axis| {
        let y = cx.results[0];
        let product = cx.b.mul(dy, y)?;
        let total = cx.b.sum(product, &[axis], true)?;
        let rest = cx.b.sub(dy, total)?;
        cx.b.mul(rest, y)
    },
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("softmax")
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
