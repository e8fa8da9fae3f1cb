//! The op `trunc`.

use super::unary::Unary;
use crate::infer::Takes;

/// The op `trunc`.
pub(super) const OP: Unary = Unary {
    name: "trunc",
    doc: "The integer next to x on the side of zero (ATen `trunc`).",
    takes: Takes::Floats,
    gradient: None,
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn the_type_stays() {
        assert_eq!(results("trunc", "f32[n, 4]", Attrs::new()), "f32[n, 4]");
        assert_eq!(results("trunc", "?[*]", Attrs::new()), "?[*]");
        assert!(error("trunc", "i64[4]", Attrs::new()).contains("must be a float, not i64"));
        assert_eq!(gradients("trunc", "f32[n, 4]", Attrs::new()), "?[*]");
    }
}
