//! The op `shift_left`.

use super::bits::{Bits, TWO};
use crate::infer::Takes;

/// The op `shift_left`.
pub(super) const OP: Bits = Bits {
    name: "shift_left",
    doc: "The bits of a moved up by b places, zeros coming in; zero where b is negative or not below \
          the number of bits (ONNX `BitShift` with direction LEFT, ATen `bitwise_left_shift.Tensor`).",
    takes: Takes::Integers,
    operands: TWO,
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, results};

    #[test]
    fn operands_broadcast() {
        let none = Attrs::new;
        assert_eq!(results("shift_left", "u8[n, 4], u8[4]", none()), "u8[n, 4]");
        assert_eq!(results("shift_left", "?[*], i32[4]", none()), "i32[*]");
        assert!(error("shift_left", "i32[4], i64[4]", none()).contains("i64"));
        assert!(error("shift_left", "f32[4], f32[4]", none()).contains("not f32"));
        assert!(error("shift_left", "bool[4], bool[4]", none()).contains("not bool"));
    }
}
