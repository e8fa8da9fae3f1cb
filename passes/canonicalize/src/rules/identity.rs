//! Nodes that give what they got.

use smallvec::smallvec;
use syncarp_ir::DType;

use crate::rule::{Become, Gradient, New, Number, Roots, Rule, Site};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "copy",
        doc: "`copy(x)` is `x`, on the device of x.",
        roots: Roots::Named(&["copy"]),
        gradient: Gradient::Same,
        apply: |site| site.through(),
    },
    Rule {
        name: "same-cast",
        doc: "A cast to the element type that is there is its operand.",
        roots: Roots::Named(&["cast"]),
        gradient: Gradient::Same,
        apply: |site| site.operand_type(0).dtype.and_then(|_| site.through()),
    },
    Rule {
        name: "cast-through",
        doc: "A cast of a cast to an element type that holds every number of the first is one \
              cast. On the way back a gradient might be rounded once more or less.",
        roots: Roots::Named(&["cast"]),
        gradient: Gradient::Other,
        apply: cast_through,
    },
    Rule {
        name: "same-reshape",
        doc: "A `reshape` to the dims that are there is its operand.",
        roots: Roots::Named(&["reshape"]),
        gradient: Gradient::Same,
        apply: |site| site.complete_dims().and_then(|_| site.through()),
    },
    Rule {
        name: "same-transpose",
        doc: "A `transpose` that leaves every dim in its place is its operand.",
        roots: Roots::Named(&["transpose"]),
        gradient: Gradient::Same,
        apply: |site| {
            let permutation = site.attrs.ints("permutation")?;
            let same = (0..).zip(permutation).all(|(at, from)| at == *from);
            same.then(|| site.through()).flatten()
        },
    },
    Rule {
        name: "same-expand",
        doc: "An `expand` to the dims that are there is its operand.",
        roots: Roots::Named(&["expand"]),
        gradient: Gradient::Same,
        apply: |site| site.complete_dims().and_then(|_| site.through()),
    },
    Rule {
        name: "whole-slice",
        doc: "A `slice` of every place of its axis is its operand.",
        roots: Roots::Named(&["slice"]),
        gradient: Gradient::Same,
        apply: |site| {
            let (start, step) = (site.attrs.int("start")?, site.attrs.int("step"));
            let whole = start == 0 && step.unwrap_or(1) == 1;
            site.complete_dims().filter(|_| whole)?;
            site.through()
        },
    },
    Rule {
        name: "empty-pad",
        doc: "A `pad` by nothing, of a constant, is its operand.",
        roots: Roots::Named(&["pad"]),
        gradient: Gradient::Same,
        apply: |site| {
            let none = |name| site.attrs.ints(name)?.iter().all(|n| *n == 0).then_some(());
            none("low").and(none("high"))?;
            // Another value might be trained, and would lose a gradient of zeros.
            let fits = site.is_constant(1) && site.keeps_type_of(0);
            fits.then(|| Become::value(site.operands[0]))
        },
    },
    Rule {
        name: "lone-concat",
        doc: "A `concat` of one is that one.",
        roots: Roots::Named(&["concat"]),
        gradient: Gradient::Same,
        apply: |site| site.through(),
    },
    Rule {
        name: "single-tile",
        doc: "A `tile` that repeats every dim once is its operand.",
        roots: Roots::Named(&["tile"]),
        gradient: Gradient::Same,
        apply: |site| {
            let once = site.attrs.ints("repeats")?.iter().all(|n| *n == 1);
            once.then(|| site.through()).flatten()
        },
    },
    Rule {
        name: "dropout-of-nothing",
        doc: "`dropout` with a constant p of 0 is x, and its mask is 1: x was multiplied by 1 / (1 \
              - 0). Other random ops draw what they drew, since each has a stream of its own.",
        roots: Roots::Named(&["dropout"]),
        gradient: Gradient::Same,
        apply: dropout_of_nothing,
    },
];

fn cast_through(site: &Site<'_>) -> Option<Become> {
    let inner = site.def_of(0, "cast")?;
    let x = site.graph.operands(inner)[0];
    let from = site.graph.ty(x).dtype?;
    let through = site.operand_type(0).dtype?;
    let attrs = site.attrs.clone();
    holds(through, from).then(|| Become::node("cast", &[x], attrs))
}

/// Whether every number of one element type is one of another, which is cast on by the same rules:
/// from floats by rounding and saturating, from integers by wrapping.
fn holds(wide: DType, narrow: DType) -> bool {
    let integers = wide.is_integer() && narrow.is_integer();
    match narrow {
        _ if wide == narrow => true,
        DType::F16 | DType::BF16 => matches!(wide, DType::F32 | DType::F64),
        DType::F32 => wide == DType::F64,
        // What is 0 or 1 stays so whatever it is cast to.
        DType::Bool => true,
        _ => {
            let signs = narrow.is_unsigned() || !wide.is_unsigned();
            integers && wide.size() > narrow.size() && signs
        }
    }
}

fn dropout_of_nothing(site: &Site<'_>) -> Option<Become> {
    let zero = matches!(site.number(1)?, Number::Float(p) if p == 0.0);
    let x = site.operands[0];
    let ty = site.graph.ty(x);
    let typed = site.types.iter().all(|t| *t == site.graph.type_id(x)) && ty.is_complete();
    if !zero || !typed {
        return None;
    }
    let mask = New::constant(ty.clone(), 1.0);
    Some(Become::Values(smallvec![New::Value(x), mask]))
}
