//! Arithmetic that is the same to the bit. Neither sums nor products are put together otherwise:
//! floats are not associative. A NaN stays a NaN; which one it is, no kernel promises.

use syncarp_ir::Attrs;

use crate::rule::{Become, Gradient, Roots, Rule, Site};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "operand-order",
        doc: "Of two operands whose order makes no difference, constants come last, else the one \
              that is computed first comes first.",
        roots: Roots::Named(&[
            "add",
            "mul",
            "eq",
            "ne",
            "logical_and",
            "logical_or",
            "logical_xor",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
        ]),
        gradient: Gradient::Same,
        apply: |site| {
            let key = |i: usize| (site.is_constant(i), site.operands[i]);
            let swapped = [site.operands[1], site.operands[0]];
            let attrs = || site.attrs.clone();
            (key(1) < key(0)).then(|| Become::node(site.name(), &swapped, attrs()))
        },
    },
    Rule {
        name: "double-negation",
        doc: "What is negated twice is what it was.",
        roots: Roots::Named(&["neg", "logical_not", "bitwise_not"]),
        gradient: Gradient::Same,
        apply: |site| {
            let inner = site.def_of(0, site.name())?;
            let x = site.graph.operands(inner)[0];
            let fits = site.graph.type_id(x) == site.types[0];
            fits.then(|| Become::value(x))
        },
    },
    Rule {
        name: "times-one",
        doc: "`x * 1` and `x / 1` are x.",
        roots: Roots::Named(&["mul", "div"]),
        gradient: Gradient::Same,
        apply: |site| neutral(site, 1.0, 1),
    },
    Rule {
        name: "times-minus-one",
        doc: "`x * -1` and `x / -1` are `-x`.",
        roots: Roots::Named(&["mul", "div"]),
        gradient: Gradient::Same,
        apply: |site| {
            neutral(site, -1.0, -1)?;
            Some(Become::node("neg", &site.operands[..1], Attrs::new()))
        },
    },
    Rule {
        name: "plus-nothing",
        doc: "`x + -0.0` of floats and `x + 0` of integers are x. `x + 0.0` is not: it makes 0.0 \
              of -0.0.",
        roots: Roots::Named(&["add"]),
        gradient: Gradient::Same,
        apply: |site| neutral(site, -0.0, 0),
    },
    Rule {
        name: "minus-nothing",
        doc: "`x - 0.0` of floats and `x - 0` of integers are x.",
        roots: Roots::Named(&["sub"]),
        gradient: Gradient::Same,
        apply: |site| neutral(site, 0.0, 0),
    },
    Rule {
        name: "plus-negated",
        doc: "`a + -b` is `a - b`, and `a - -b` is `a + b`. Where b is broadcast, its gradient may be \
              a zero of another sign.",
        roots: Roots::Named(&["add", "sub"]),
        gradient: Gradient::Other,
        apply: |site| {
            let inner = site.def_of(1, "neg")?;
            let operands = [site.operands[0], site.graph.operands(inner)[0]];
            let other = if site.name() == "add" { "sub" } else { "add" };
            Some(Become::node(other, &operands, Attrs::new()))
        },
    },
];

/// The first operand, where the second is filled with a number that leaves it as it is.
fn neutral(site: &Site<'_>, float: f64, int: i64) -> Option<Become> {
    let fits = site.keeps_type_of(0) && site.number(1)?.is(float, int);
    fits.then(|| Become::value(site.operands[0]))
}
