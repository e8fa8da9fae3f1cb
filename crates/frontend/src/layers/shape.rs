//! Layers that move elements about, or change nothing but their type.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, DType, Dim};
use syncarp_sweep::Value as Written;

use crate::context::LayerContext;
use crate::error::suggest;
use crate::registry::{Argument, LayerFn};

const START: Argument = Argument::optional(&["start_dim", "start"], "1", "The first axis.");
const END: Argument = Argument::optional(
    &["end_dim", "end"],
    "-1",
    "The last axis, from the end where negative.",
);
const DIM: Argument = Argument::required(&["dim", "axis"], "The axis that is taken apart.");
const SIZES: Argument = Argument::required(
    &["unflattened_size", "sizes"],
    "The sizes of the new axes, at most one of them -1.",
);
const SAMPLE: Argument = Argument::required(
    &["dims", "shape"],
    "The dims of one sample, without the batch; at most one of them -1.",
);
const ORDER: Argument =
    Argument::required(&["dims"], "All axes in their new order, the batch (0) too.");
const TO: Argument = Argument::required(&["to", "dtype"], "The element type, such as \"f32\".");

pub(super) const IDENTITY: LayerFn = LayerFn {
    names: &["identity"],
    doc: "The incoming value (`torch.nn.Identity`).",
    arguments: &[],
    lower: |cx| Ok(cx.input()),
};

pub(super) const FLATTEN: LayerFn = LayerFn {
    names: &["flatten"],
    doc: "Makes one axis of several, [n, c, h, w] to [n, c * h * w] (`torch.nn.Flatten`).",
    arguments: &[START, END],
    lower: |cx| {
        let start = cx.args.i64_opt(&START)?.unwrap_or(1);
        let end = cx.args.i64_opt(&END)?.unwrap_or(-1);
        if cx.ty().rank().is_some_and(|rank| rank < 2) && start == 1 {
            // One number a sample: there is an axis to make, as a linear layer wants one.
            let mut dims = cx.ty().dims().unwrap_or_default().to_vec();
            dims.resize(2, Dim::Known(1));
            return cx.emit1("reshape", &[cx.input()], Attrs::new().with("dims", dims));
        }
        let (start, end) = (cx.axis(&START, start)?, cx.axis(&END, end)?);
        if start == 0 {
            return Err(cx.error_at(&START, "axis 0 is the batch and stays by itself"));
        }
        let attrs = Attrs::new().with("start", start).with("end", end);
        cx.emit1("flatten", &[cx.input()], attrs)
    },
};

pub(super) const UNFLATTEN: LayerFn = LayerFn {
    names: &["unflatten"],
    doc: "Makes several axes of one (`torch.nn.Unflatten`).",
    arguments: &[DIM, SIZES],
    lower: |cx| {
        let axis = cx.args.i64(&DIM)?;
        let sizes = sizes(cx, &SIZES)?;
        let axis = cx.axis(&DIM, axis)? as usize;
        let Some(before) = cx.ty().dims().map(<[Dim]>::to_vec) else {
            return Err(cx.error("expects a value whose dims are known"));
        };
        if axis == 0 {
            return Err(cx.error_at(&DIM, "axis 0 is the batch and stays as it is"));
        }
        let made = fill(cx, &SIZES, &before[axis..=axis], &sizes)?;
        let mut dims = before[..axis].to_vec();
        dims.extend(made);
        dims.extend_from_slice(&before[axis + 1..]);
        cx.emit1("reshape", &[cx.input()], Attrs::new().with("dims", dims))
    },
};

pub(super) const RESHAPE: LayerFn = LayerFn {
    names: &["reshape", "view"],
    doc: "Gives each sample other dims with as many elements, [n, ...] to [n, dims...].",
    arguments: &[SAMPLE],
    lower: |cx| {
        let sizes = sizes(cx, &SAMPLE)?;
        let Some([batch, sample @ ..]) = cx.ty().dims() else {
            return Err(cx.error("expects a value whose dims are known, the batch first"));
        };
        let mut dims = vec![batch.clone()];
        dims.extend(fill(cx, &SAMPLE, sample, &sizes)?);
        cx.emit1("reshape", &[cx.input()], Attrs::new().with("dims", dims))
    },
};

pub(super) const PERMUTE: LayerFn = LayerFn {
    names: &["permute"],
    doc: "Puts the axes into another order (`torch.permute`).",
    arguments: &[ORDER],
    lower: |cx| {
        let order = sizes(cx, &ORDER)?;
        let mut axes = Vec::with_capacity(order.len());
        for axis in order {
            axes.push(cx.axis(&ORDER, axis)?);
        }
        let attrs = Attrs::new().with("permutation", axes);
        cx.emit1("transpose", &[cx.input()], attrs)
    },
};

pub(super) const CAST: LayerFn = LayerFn {
    names: &["cast"],
    doc: "The elements as another type, such as class numbers of a table of floats for an \
          embedding.",
    arguments: &[TO],
    lower: |cx| {
        let name = cx.args.str(&TO)?;
        let Some(dtype) = DType::from_name(name) else {
            let known = DType::ALL.map(DType::name);
            let error = cx.error_at(&TO, format!("no element type is called `{name}`"));
            return Err(error.with_help(suggest(name, "element types", &known)));
        };
        match cx.ty().dtype == Some(dtype) {
            true => Ok(cx.input()),
            false => cx.emit1("cast", &[cx.input()], Attrs::new().with("to", dtype)),
        }
    },
};

/// Whole numbers, negative ones too.
pub(super) fn sizes(
    cx: &mut LayerContext<'_, '_>,
    argument: &Argument,
) -> Result<Vec<i64>, Located> {
    let int = |value: &Written| match value {
        Written::Int(number) => Some(*number),
        _ => None,
    };
    let found = match &cx.args.value(argument)?.value {
        Written::Array(items) => items.iter().map(|item| int(&item.value)).collect(),
        one => int(one).map(|one| vec![one]),
    };
    found.ok_or_else(|| {
        let name = argument.names[0];
        cx.error_at(
            argument,
            format!("`{name}` is a whole number or an array of such"),
        )
    })
}

/// Sizes as dims with as many elements as `old` has: a -1 is what is left.
fn fill(
    cx: &LayerContext<'_, '_>,
    argument: &Argument,
    old: &[Dim],
    sizes: &[i64],
) -> Result<Vec<Dim>, Located> {
    let wrong = |message: String| cx.error_at(argument, message);
    let product = |dims: &[Dim]| dims.iter().try_fold(Dim::Known(1), |n, d| n.times(d));
    let known: Option<Vec<Dim>> = sizes
        .iter()
        .filter(|s| **s != -1)
        .map(|s| u64::try_from(*s).ok().map(Dim::Known))
        .collect();
    let known =
        known.ok_or_else(|| wrong("sizes are at least 0, or -1 for the rest".to_owned()))?;
    if known.len() + 1 < sizes.len() {
        return Err(wrong("at most one size is -1".to_owned()));
    }
    let (all, taken) = product(old)
        .zip(product(&known))
        .ok_or_else(|| wrong("the sizes are too large".to_owned()))?;
    let unequal = || {
        wrong(format!(
            "{sizes:?} does not have the {all} elements of {old:?}"
        ))
    };
    let rest = match known.len() < sizes.len() {
        true => all
            .floor_div(&taken)
            .filter(|r| r.times(&taken).as_ref() == Some(&all)),
        false => (all == taken).then_some(Dim::Known(1)),
    };
    let rest = rest.ok_or_else(unequal)?;
    let dim = |size: &i64| match size {
        -1 => rest.clone(),
        size => Dim::Known(size.unsigned_abs()),
    };
    Ok(sizes.iter().map(dim).collect())
}
