//! The op `log`.

use super::unary::Unary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `log`.
pub(super) const OP: Unary = Unary {
    name: "log",
    doc: "The natural logarithm (ONNX `Log`, ATen `log`).",
    takes: Takes::Floats,
    gradient: Some(|b, x, _, dy| b.div(dy, x)),
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("log")
            .gives("f32[n, 4]", "f32[n, 4]")
            .gives("?[*]", "?[*]")
            .refuses("i64[4]", "must be a float, not i64")
            .differentiates("f32[n, 4]")
            .flops("f32[2, 3]", 6);
    }
}
