//! The op `logical_and`.

use super::compare::{Compare, TWO};
use crate::infer::Takes;

/// The op `logical_and`.
pub(super) const OP: Compare = Compare {
    name: "logical_and",
    doc: "Whether both hold, broadcasting (ONNX `And`, ATen `logical_and`).",
    takes: Takes::Truths,
    operands: TWO,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_gives_truth_values() {
        check("logical_and")
            .gives("bool[n, 1], bool[4]", "bool[n, 4]")
            .refuses("f32[4], f32[4]", "must be a bool, not f32")
            .refuses("bool[4], bool[3]", "do not broadcast")
            .stops("bool[n, 4], bool[4]")
            .flops("bool[2, 3], bool[3]", 6);
    }
}
