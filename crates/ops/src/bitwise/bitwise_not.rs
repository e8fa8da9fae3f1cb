//! The op `bitwise_not`.

use super::bits::{Bits, ONE};
use crate::infer::Takes;

/// The op `bitwise_not`.
pub(super) const OP: Bits = Bits {
    name: "bitwise_not",
    doc: "The bits that x does not have, of integers or truth values (ONNX `BitwiseNot`, ATen \
          `bitwise_not`).",
    takes: Takes::Bits,
    operands: ONE,
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("bitwise_not", "u8[n, 4]", Attrs::new()), "u8[n, 4]");
        assert_eq!(results("bitwise_not", "bool[*]", Attrs::new()), "bool[*]");
        assert!(error("bitwise_not", "f32[4]", Attrs::new()).contains("not f32"));
    }
}
