//! The op `is_nan`.

use syncarp_ir::Operand;

use super::compare::Compare;
use crate::infer::Takes;

/// The op `is_nan`.
pub(super) const OP: Compare = Compare {
    name: "is_nan",
    doc: "Whether x is not a number (ONNX `IsNaN`, ATen `isnan`).",
    takes: Takes::Floats,
    operands: &[Operand::one("x")],
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, results};

    #[test]
    fn it_gives_truth_values() {
        assert_eq!(results("is_nan", "f32[n, 4]", Attrs::new()), "bool[n, 4]");
        assert_eq!(results("is_nan", "?[*]", Attrs::new()), "bool[*]");
        assert!(error("is_nan", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
    }
}
