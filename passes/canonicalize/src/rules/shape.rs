//! Elements under other dims and dims in another order.

use syncarp_ir::{Attrs, Dim, Value};

use crate::rule::{Become, Gradient, Roots, Rule, Site};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "to-reshape",
        doc: "`flatten`, `squeeze` and `unsqueeze` are `reshape`s, once the dims of the result are \
              known.",
        roots: Roots::Named(&["flatten", "squeeze", "unsqueeze"]),
        gradient: Gradient::Same,
        apply: |site| {
            site.complete_dims()?;
            Some(reshape(site, site.operands[0]))
        },
    },
    Rule {
        name: "reshape-of-reshape",
        doc: "A `reshape` of a `reshape` is one of what came first.",
        roots: Roots::Named(&["reshape"]),
        gradient: Gradient::Same,
        apply: |site| {
            let inner = site.def_of(0, "reshape")?;
            site.complete_dims()?;
            Some(reshape(site, site.graph.operands(inner)[0]))
        },
    },
    Rule {
        name: "transpose-of-transpose",
        doc: "A `transpose` of a `transpose` is one of what came first, by both permutations.",
        roots: Roots::Named(&["transpose"]),
        gradient: Gradient::Same,
        apply: transpose_of_transpose,
    },
    Rule {
        name: "transpose-of-ones",
        doc: "A `transpose` that leaves the dims that are not 1 in their order is a `reshape`.",
        roots: Roots::Named(&["transpose"]),
        gradient: Gradient::Same,
        apply: transpose_of_ones,
    },
    Rule {
        name: "expand-of-expand",
        doc: "An `expand` of an `expand` is one of what came first. Its gradient is one sum where \
              there were two.",
        roots: Roots::Named(&["expand"]),
        gradient: Gradient::Other,
        apply: |site| {
            let inner = site.def_of(0, "expand")?;
            let x = site.graph.operands(inner)[0];
            site.graph.ty(x).dims()?;
            Some(Become::node("expand", &[x], site.attrs.clone()))
        },
    },
];

/// The result's dims over a value's elements.
fn reshape(site: &Site<'_>, x: Value) -> Become {
    let dims = site.ty().dims().unwrap_or_default();
    Become::node("reshape", &[x], Attrs::new().with("dims", dims))
}

fn transpose_of_transpose(site: &Site<'_>) -> Option<Become> {
    let inner = site.def_of(0, "transpose")?;
    let first = site.graph.attrs(inner).ints("permutation")?;
    let second = site.attrs.ints("permutation")?;
    let both = second.iter().map(|at| {
        let at = usize::try_from(*at).ok()?;
        first.get(at).copied()
    });
    let both: Vec<i64> = both.collect::<Option<_>>()?;
    let x = site.graph.operands(inner)[0];
    let attrs = Attrs::new().with("permutation", both);
    Some(Become::node("transpose", &[x], attrs))
}

fn transpose_of_ones(site: &Site<'_>) -> Option<Become> {
    site.complete_dims()?;
    let dims = site.operand_type(0).dims()?;
    let moved = site.attrs.ints("permutation")?.iter();
    let moved = moved.filter(|at| {
        let at = usize::try_from(**at).ok();
        at.and_then(|at| dims.get(at)) != Some(&Dim::Known(1))
    });
    moved.is_sorted().then(|| reshape(site, site.operands[0]))
}
