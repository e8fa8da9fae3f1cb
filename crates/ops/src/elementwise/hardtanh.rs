//! The op `hardtanh`.

use super::activation::{Activation, BOUNDED};
use super::clamp::bounded;
use crate::infer::Takes;

/// The op `hardtanh`.
pub(super) const OP: Activation = Activation {
    name: "hardtanh",
    doc: "The same as `clamp` for floats (ATen `hardtanh`).",
    operands: BOUNDED,
    takes: Takes::Floats,
    example: "f32[2, 3], f32[], f32[]",
    parts: |b, operands| bounded(b, operands[0], operands[1], operands[2]),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("hardtanh")
            .gives("f32[n, 4], f32[], f32[4]", "f32[n, 4]")
            .refuses("f32[n], f32[]", "expected operands (x, low, high)")
            .refuses("i64[4], i64[], i64[]", "must be a float")
            .refuses("f32[n], f64[], f32[]", "f64")
            .decomposes("f32[n, 4], f32[], f32[4]")
            .flops("f32[2, 3], f32[], f32[]", 6);
    }
}
