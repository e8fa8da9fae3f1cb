//! The op `shift_right`.

use super::bits::{Bits, TWO};
use crate::infer::Takes;

/// The op `shift_right`.
pub(super) const OP: Bits = Bits {
    name: "shift_right",
    doc: "The bits of a moved down by b places, copies of the sign coming in where the dtype has one, \
          else zeros; by as many as there are where b is negative or not below the number of bits \
          (ONNX `BitShift` with direction RIGHT, ATen `bitwise_right_shift.Tensor`).",
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
        assert_eq!(
            results("shift_right", "u8[n, 4], u8[4]", none()),
            "u8[n, 4]"
        );
        assert_eq!(results("shift_right", "?[*], i32[4]", none()), "i32[*]");
        assert!(error("shift_right", "i32[4], i64[4]", none()).contains("i64"));
        assert!(error("shift_right", "f32[4], f32[4]", none()).contains("not f32"));
        assert!(error("shift_right", "bool[4], bool[4]", none()).contains("not bool"));
    }
}
