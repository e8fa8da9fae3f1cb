//! The op `eq`.

use super::compare::{Compare, TWO};
use crate::infer::Takes;

/// The op `eq`.
pub(super) const OP: Compare = Compare {
    name: "eq",
    doc: "Whether a equals b, broadcasting; NaN equals nothing (ONNX `Equal`, ATen `eq`).",
    takes: Takes::All,
    operands: TWO,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_gives_truth_values() {
        check("eq")
            .gives("f32[n, 4], f32[]", "bool[n, 4]")
            .gives("?[*], i64[4]", "bool[*]")
            .refuses("f32[4], i64[4]", "i64")
            .refuses("f32[4], f32[3]", "do not broadcast")
            .stops("f32[n, 4], f32[4]")
            .flops("f32[2, 3], f32[3]", 6);
    }
}
