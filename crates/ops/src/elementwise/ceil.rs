//! The op `ceil`.

use super::unary::Unary;
use crate::infer::Takes;

/// The op `ceil`.
pub(super) const OP: Unary = Unary {
    name: "ceil",
    doc: "The smallest integer not below (ONNX `Ceil`, ATen `ceil`).",
    takes: Takes::Floats,
    gradient: None,
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("ceil")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .stops("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
