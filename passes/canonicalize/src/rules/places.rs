//! Axes and places that may be counted from either end, and constants that may be written in
//! several ways.

use syncarp_ir::{Attr, Attrs, DType};

use crate::rule::{Become, Gradient, Roots, Rule, Site};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "written-default",
        doc: "An attribute that says what leaving it out says is left out.",
        roots: Roots::All(|op| op.attributes().iter().any(|spec| spec.default.is_some())),
        gradient: Gradient::Same,
        apply: written_default,
    },
    Rule {
        name: "axis-from-front",
        doc: "An axis that is counted from the end is counted from the front, where the rank is \
              known.",
        roots: Roots::Named(&[
            "argmax",
            "argmin",
            "concat",
            "cumprod",
            "cumsum",
            "gather",
            "gather_elements",
            "log_softmax",
            "prod",
            "scatter_elements",
            "slice",
            "slice_grad",
            "softmax",
            "top_k",
        ]),
        gradient: Gradient::Same,
        apply: axis_from_front,
    },
    Rule {
        name: "axes-in-order",
        doc: "Axes to reduce are counted from the front, in order, each once, and left out where \
              they are all.",
        roots: Roots::Named(&["count", "mean", "reduce_max", "reduce_min", "sum", "var"]),
        gradient: Gradient::Same,
        apply: axes_in_order,
    },
    Rule {
        name: "slice-places",
        doc: "Places of a `slice` are counted from the front where the axis is a number; its end is \
              left out where it is the end of the axis.",
        roots: Roots::Named(&["slice"]),
        gradient: Gradient::Same,
        apply: slice_places,
    },
    Rule {
        name: "constant-number",
        doc: "A constant that holds one number throughout is written as that number, in its \
              element type's kind: `1.0` for `[1, 1]` of floats.",
        roots: Roots::Named(&["constant"]),
        gradient: Gradient::Same,
        apply: constant_number,
    },
];

fn written_default(site: &Site<'_>) -> Option<Become> {
    let attrs = site.attrs;
    let op = site.graph.registry().op(site.op);
    let written = |name: &str, value: &Attr| {
        let mut specs = op.attributes().iter();
        let spec = specs.find(|spec| spec.name == name);
        spec.and_then(|spec| spec.default)
            .is_some_and(|default| default.is(value, attrs))
    };
    let any = attrs.iter().any(|(name, value)| written(name, value));
    let kept = || attrs.filtered(|name, value| !written(name, value));
    any.then(|| Become::Attrs(kept()))
}

fn axis_from_front(site: &Site<'_>) -> Option<Become> {
    let axis = site.attrs.int("axis").filter(|axis| *axis < 0)?;
    // What was sliced has the rank of the slice, so that this holds for its gradient too.
    let rank = i64::try_from(site.operand_type(0).rank()?).ok()?;
    let attrs = site.attrs.clone().with("axis", axis.checked_add(rank)?);
    Some(Become::Attrs(attrs))
}

fn axes_in_order(site: &Site<'_>) -> Option<Become> {
    let axes = site.attrs.ints("axes")?;
    let rank = i64::try_from(site.operand_type(0).rank()?).ok()?;
    let mut front: Vec<i64> = axes
        .iter()
        .map(|axis| if *axis < 0 { axis + rank } else { *axis })
        .collect();
    front.sort_unstable();
    front.dedup();
    // Of a scalar and of no axes, the list says what leaving it out would not.
    if rank > 0 && front.len() as i64 == rank {
        let attrs = site.attrs.filtered(|name, _| name != "axes");
        return Some(Become::Attrs(attrs));
    }
    let attrs = || site.attrs.clone().with("axes", front.clone());
    (front != axes).then(|| Become::Attrs(attrs()))
}

fn slice_places(site: &Site<'_>) -> Option<Become> {
    let dims = site.operand_type(0).dims()?;
    let axis = site.attrs.int("axis")?;
    let size = dims.get(usize::try_from(axis).ok()?)?.known()?;
    let size = i64::try_from(size).ok()?;
    let front = |at: i64| if at < 0 { at + size } else { at };
    let start = front(site.attrs.int("start")?);
    let end = site.attrs.int("end").map(front).filter(|end| *end != size);
    if Some(start) == site.attrs.int("start") && end == site.attrs.int("end") {
        return None;
    }
    let mut attrs = site.attrs.filtered(|name, _| name != "end");
    attrs.set("start", start);
    if let Some(end) = end {
        attrs.set("end", end);
    }
    Some(Become::Attrs(attrs))
}

fn constant_number(site: &Site<'_>) -> Option<Become> {
    let dtype = site.attrs.dtype("dtype")?;
    let value = site.attrs.get("value")?;
    let one = match value {
        Attr::Ints(list) => throughout(list.iter().copied()).map(Attr::Int),
        Attr::Floats(list) => {
            let bits = throughout(list.iter().map(|v| v.to_bits()));
            bits.map(|v| Attr::Float(f64::from_bits(v)))
        }
        other => Some(other.clone()),
    }?;
    let one = match one {
        Attr::Int(v) if dtype.is_float() && v.unsigned_abs() <= 1 << 53 => Attr::Float(v as f64),
        Attr::Int(v @ (0 | 1)) if dtype == DType::Bool => Attr::Bool(v == 1),
        Attr::Bool(v) if dtype.is_float() => Attr::Float(f64::from(u8::from(v))),
        Attr::Bool(v) if dtype != DType::Bool => Attr::Int(i64::from(v)),
        other => other,
    };
    let attrs = |one: Attr| -> Attrs { site.attrs.clone().with("value", one) };
    (one != *value).then(|| Become::Attrs(attrs(one)))
}

/// What all items are, where there is one and they are all the same.
fn throughout<T: PartialEq>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.all(|item| item == first).then_some(first)
}
