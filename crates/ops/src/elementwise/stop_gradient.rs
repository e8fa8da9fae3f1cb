//! The op `stop_gradient`.

use super::unary::Unary;
use crate::infer::Takes;

/// The op `stop_gradient`.
pub(super) const OP: Unary = Unary {
    name: "stop_gradient",
    doc: "The operand itself, which no gradient passes (ATen `detach`, and what is computed under \
          `torch.no_grad`).",
    takes: Takes::All,
    gradient: None,
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{gradients, results};

    #[test]
    fn the_type_stays_and_the_gradient_ends() {
        assert_eq!(
            results("stop_gradient", "f32[n, 4]", Attrs::new()),
            "f32[n, 4]"
        );
        assert_eq!(results("stop_gradient", "bool[n]", Attrs::new()), "bool[n]");
        assert_eq!(
            gradients("stop_gradient", "f32[n, 4]", Attrs::new()),
            "?[*]"
        );
    }
}
