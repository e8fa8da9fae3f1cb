//! The op `logical_or`.

use super::compare::{Compare, TWO};
use crate::infer::Takes;

/// The op `logical_or`.
pub(super) const OP: Compare = Compare {
    name: "logical_or",
    doc: "Whether one holds or both do, broadcasting (ONNX `Or`, ATen `logical_or`).",
    takes: Takes::Truths,
    operands: TWO,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_gives_truth_values() {
        check("logical_or")
            .gives("bool[n, 1], bool[4]", "bool[n, 4]")
            .refuses("f32[4], f32[4]", "must be a bool, not f32")
            .refuses("bool[4], bool[3]", "do not broadcast")
            .stops("bool[n, 4], bool[4]")
            .flops("bool[2, 3], bool[3]", 6);
    }
}
