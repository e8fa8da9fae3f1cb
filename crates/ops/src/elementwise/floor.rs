//! The op `floor`.

use super::unary::Unary;
use crate::infer::Takes;

/// The op `floor`.
pub(super) const OP: Unary = Unary {
    name: "floor",
    doc: "The largest integer not above (ONNX `Floor`, ATen `floor`).",
    takes: Takes::Floats,
    gradient: None,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("floor")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .stops("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
