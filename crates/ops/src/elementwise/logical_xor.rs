//! The op `logical_xor`.

use super::compare::{Compare, TWO};
use crate::infer::Takes;

/// The op `logical_xor`.
pub(super) const OP: Compare = Compare {
    name: "logical_xor",
    doc: "Whether exactly one holds, broadcasting (ONNX `Xor`, ATen `logical_xor`).",
    takes: Takes::Truths,
    operands: TWO,
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, results};

    #[test]
    fn it_gives_truth_values() {
        let none = Attrs::new;
        assert_eq!(
            results("logical_xor", "bool[n, 4], bool[]", none()),
            "bool[n, 4]"
        );
        assert_eq!(results("logical_xor", "?[*], bool[4]", none()), "bool[*]");
        assert!(error("logical_xor", "i64[4], i64[4]", none()).contains("must be a bool"));
    }
}
