//! The op `atan2`.

use super::binary::Binary;
use crate::emit::Emit;
use crate::infer::Takes;

/// The op `atan2`.
pub(super) const OP: Binary = Binary {
    name: "atan2",
    doc: "The angle in radians from -pi to pi of the point with ordinate a and abscissa b (ATen `atan2`).",
    takes: Takes::Floats,
    gradients: [
        |g, n| {
            let (up, across) = (g.call("square", &[n.a])?, g.call("square", &[n.b])?);
            let distance = g.add(up, across)?;
            let product = g.mul(n.dy, n.b)?;
            g.div(product, distance)
        },
        |g, n| {
            let (up, across) = (g.call("square", &[n.a])?, g.call("square", &[n.b])?);
            let distance = g.add(up, across)?;
            let product = g.mul(n.dy, n.a)?;
            let quotient = g.div(product, distance)?;
            g.neg(quotient)
        },
    ],
};

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn operands_broadcast() {
        let none = Attrs::new;
        assert_eq!(
            results("atan2", "f32[n, 1, 4], f32[3, 1]", none()),
            "f32[n, 3, 4]"
        );
        assert_eq!(results("atan2", "?[*], f32[3]", none()), "f32[*]");
        assert!(error("atan2", "f32[n], f32[3]", none()).contains("do not broadcast"));
        assert!(error("atan2", "bool[3], bool[3]", none()).contains("not bool"));
        assert_eq!(
            gradients("atan2", "f32[n, 1, 4], f32[3, 1]", none()),
            "f32[n, 1, 4], f32[3, 1]"
        );
    }
}
