//! The op `fmod`.

use super::binary::Binary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `fmod`.
pub(super) const OP: Binary = Binary {
    name: "fmod",
    doc: "What is left of a after taking off b a whole number of times, with the sign of a; of integers \
          zero where b is zero, of floats NaN (ONNX `Mod` with fmod = 1, ATen `fmod`).",
    takes: Takes::Numbers,
    gradients: [
        |_, n| Ok(n.dy),
        |g, n| {
            let ratio = g.div(n.a, n.b)?;
            let times = g.call("trunc", &[ratio])?;
            let product = g.mul(n.dy, times)?;
            g.neg(product)
        },
    ],
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn operands_broadcast() {
        let none = Attrs::new;
        assert_eq!(
            results("fmod", "f32[n, 1, 4], f32[3, 1]", none()),
            "f32[n, 3, 4]"
        );
        assert_eq!(results("fmod", "?[*], f32[3]", none()), "f32[*]");
        assert!(error("fmod", "f32[n], f32[3]", none()).contains("do not broadcast"));
        assert!(error("fmod", "bool[3], bool[3]", none()).contains("not bool"));
        assert_eq!(
            gradients("fmod", "f32[n, 1, 4], f32[3, 1]", none()),
            "f32[n, 1, 4], f32[3, 1]"
        );
    }
}
