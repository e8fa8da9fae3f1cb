//! The op `bitwise_and`.

use super::bits::{Bits, TWO};
use crate::infer::Takes;

/// The op `bitwise_and`.
pub(super) const OP: Bits = Bits {
    name: "bitwise_and",
    doc: "The bits that both have, of integers or truth values (ONNX `BitwiseAnd`, ATen \
          `bitwise_and.Tensor`).",
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
            results("bitwise_and", "u8[n, 4], u8[4]", none()),
            "u8[n, 4]"
        );
        assert_eq!(results("bitwise_and", "?[*], i32[4]", none()), "i32[*]");
        assert!(error("bitwise_and", "i32[4], i64[4]", none()).contains("i64"));
        assert!(error("bitwise_and", "f32[4], f32[4]", none()).contains("not f32"));
        assert_eq!(results("bitwise_and", "bool[4], bool[]", none()), "bool[4]");
    }
}
