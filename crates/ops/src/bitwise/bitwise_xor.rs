//! The op `bitwise_xor`.

use super::bits::{Bits, TWO};
use crate::infer::Takes;

/// The op `bitwise_xor`.
pub(super) const OP: Bits = Bits {
    name: "bitwise_xor",
    doc: "The bits that exactly one has, of integers or truth values (ONNX `BitwiseXor`, ATen \
          `bitwise_xor.Tensor`).",
    takes: Takes::Bits,
    operands: TWO,
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, results};

    #[test]
    fn operands_broadcast() {
        let none = Attrs::new;
        assert_eq!(
            results("bitwise_xor", "u8[n, 4], u8[4]", none()),
            "u8[n, 4]"
        );
        assert_eq!(results("bitwise_xor", "?[*], i32[4]", none()), "i32[*]");
        assert!(error("bitwise_xor", "i32[4], i64[4]", none()).contains("i64"));
        assert!(error("bitwise_xor", "f32[4], f32[4]", none()).contains("not f32"));
        assert_eq!(results("bitwise_xor", "bool[4], bool[]", none()), "bool[4]");
    }
}
