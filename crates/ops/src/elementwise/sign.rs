//! The op `sign`.

use super::unary::Unary;
use crate::infer::Takes;

/// The op `sign`.
pub(super) const OP: Unary = Unary {
    name: "sign",
    doc: "-1, 0 or 1 as the element's sign is; NaN stays (ONNX `Sign`, ATen `sign`).",
    takes: Takes::Numbers,
    gradient: None,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("sign")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("bool[4]", "a float or an integer, not bool")
            .stops("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
