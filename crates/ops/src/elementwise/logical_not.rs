//! The op `logical_not`.

use super::compare::{Compare, ONE};
use crate::infer::Takes;

/// The op `logical_not`.
pub(super) const OP: Compare = Compare {
    name: "logical_not",
    doc: "Whether it does not hold (ONNX `Not`, ATen `logical_not`).",
    takes: Takes::Truths,
    operands: ONE,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_gives_truth_values() {
        check("logical_not")
            .gives("?[*]", "bool[*]")
            .refuses("i64[4]", "must be a bool, not i64")
            .stops("bool[n]")
            .flops("bool[2, 3]", 6);
    }
}
