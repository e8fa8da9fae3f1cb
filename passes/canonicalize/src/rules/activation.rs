//! Activations that have several names.

use smallvec::smallvec;
use syncarp_ir::{Attrs, TensorType};

use crate::rule::{Become, Gradient, New, Roots, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "hardtanh-to-clamp",
        doc: "`hardtanh` is `clamp` for floats; both are taken apart alike.",
        roots: Roots::Named(&["hardtanh"]),
        gradient: Gradient::Same,
        apply: |site| Some(Become::node("clamp", site.operands, Attrs::new())),
    },
    Rule {
        name: "relu6-to-clamp",
        doc: "`relu6(x)` is `clamp(x, 0, 6)`; both are taken apart alike.",
        roots: Roots::Named(&["relu6"]),
        gradient: Gradient::Same,
        apply: |site| {
            let scalar = TensorType::scalar(site.operand_type(0).dtype?);
            let bound = |at: f64| New::constant(scalar.clone(), at);
            Some(Become::Node {
                op: "clamp",
                operands: smallvec![New::Value(site.operands[0]), bound(0.0), bound(6.0)],
                attrs: Attrs::new(),
            })
        },
    },
    Rule {
        name: "twice-the-same",
        doc: "What does nothing to its own results is applied once: `relu`, `abs`, `sign`, \
              `floor`, `ceil`, `round` and `trunc`.",
        roots: Roots::Named(&["relu", "abs", "sign", "floor", "ceil", "round", "trunc"]),
        // The slope of `abs` at zero might give zeros of another sign.
        gradient: Gradient::Other,
        apply: |site| {
            site.def_of(0, site.name())?;
            site.through()
        },
    },
];
