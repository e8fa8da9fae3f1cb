//! The op `round`.

use super::unary::Unary;
use crate::infer::Takes;

/// The op `round`.
pub(super) const OP: Unary = Unary {
    name: "round",
    doc: "The nearest integer, halves to even (ONNX `Round`, ATen `round`).",
    takes: Takes::Floats,
    gradient: None,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("round")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .stops("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
