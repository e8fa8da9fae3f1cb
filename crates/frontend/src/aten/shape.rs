//! Functions that move elements about, or tell how many there are.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::arg::Arg;
use super::call::{Call, unknown_size};
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::size.int(Tensor self, int dim) -> int",
            "aten::size(Tensor self) -> int[]",
            "aten::sym_size.int(Tensor self, int dim) -> SymInt",
        ],
        lower: size,
    },
    Function {
        schemas: &[
            "aten::numel(Tensor self) -> int",
            "aten::sym_numel(Tensor self) -> SymInt",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let dims = c.dims(x)?;
            let count = dims.iter().try_fold(Dim::Known(1), |n, dim| n.times(dim));
            count
                .map(|count| Arg::size(&count))
                .ok_or_else(|| "is too large".to_owned())
        },
    },
    Function {
        schemas: &[
            "aten::flatten.using_ints(Tensor self, int start_dim=0, int end_dim=-1) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let (start, end) = (c.int("start_dim")?, c.int("end_dim")?);
            let (start, end) = (c.axis(x, start)?, c.axis(x, end)?);
            c.give_with(
                "flatten",
                &[x],
                Attrs::new().with("start", start).with("end", end),
            )
        },
    },
    Function {
        schemas: &[
            "aten::view(Tensor self, SymInt[] size) -> Tensor",
            "aten::reshape(Tensor self, SymInt[] shape) -> Tensor",
            "aten::_unsafe_view(Tensor self, SymInt[] size) -> Tensor",
        ],
        lower: reshape,
    },
    Function {
        schemas: &["aten::permute(Tensor self, int[] dims) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axes = c.ints("dims")?;
            // The order names every axis, so it tells the rank.
            let count = axes.len();
            let axes = axes
                .iter()
                .map(|axis| syncarp_ir::normalize_axis(*axis, count));
            let axes: Result<Vec<i64>, _> = axes.map(|axis| axis.map(|a| a as i64)).collect();
            let axes = axes.map_err(|error| error.message)?;
            c.give_with("transpose", &[x], Attrs::new().with("permutation", axes))
        },
    },
    Function {
        schemas: &[
            "aten::transpose.int(Tensor self, int dim0, int dim1) -> Tensor",
            "aten::swapaxes(Tensor self, int axis0, int axis1) -> Tensor",
            "aten::swapdims(Tensor self, int dim0, int dim1) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let rank = c.ty(x).rank().ok_or_else(unknown_size)?;
            let names = if c.has("axis0") {
                ["axis0", "axis1"]
            } else {
                ["dim0", "dim1"]
            };
            let (a, b) = (c.int(names[0])?, c.int(names[1])?);
            let (a, b) = (c.axis(x, a)?, c.axis(x, b)?);
            let mut order: Vec<i64> = (0..rank as i64).collect();
            if a != b {
                order.swap(a as usize, b as usize);
            }
            c.give_with("transpose", &[x], Attrs::new().with("permutation", order))
        },
    },
    Function {
        schemas: &["aten::t(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            match c.ty(x).rank() {
                Some(0 | 1) => Ok(Arg::Tensor(x)),
                _ => c.give_with(
                    "transpose",
                    &[x],
                    Attrs::new().with("permutation", vec![1, 0]),
                ),
            }
        },
    },
    Function {
        schemas: &[
            "aten::squeeze.dim(Tensor self, int dim) -> Tensor",
            "aten::squeeze.dims(Tensor self, int[] dim) -> Tensor",
            "aten::squeeze(Tensor self) -> Tensor",
        ],
        lower: squeeze,
    },
    Function {
        schemas: &["aten::unsqueeze(Tensor self, int dim) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.int("dim")?;
            c.give_with("unsqueeze", &[x], Attrs::new().with("axes", vec![axis]))
        },
    },
    Function {
        schemas: &[
            "aten::cat(Tensor[] tensors, int dim=0) -> Tensor",
            "aten::concat(Tensor[] tensors, int dim=0) -> Tensor",
            "aten::concatenate(Tensor[] tensors, int dim=0) -> Tensor",
        ],
        lower: |c| {
            let tensors = c.tensors("tensors")?;
            concat(c, &tensors)
        },
    },
    Function {
        schemas: &["aten::stack(Tensor[] tensors, int dim=0) -> Tensor"],
        lower: |c| {
            let axis = c.int("dim")?;
            let mut tensors = c.tensors("tensors")?;
            for tensor in &mut tensors {
                let attrs = Attrs::new().with("axes", vec![axis]);
                *tensor = c.emit("unsqueeze", &[*tensor], attrs)?;
            }
            concat(c, &tensors)
        },
    },
    Function {
        schemas: &[
            "aten::expand(Tensor self, SymInt[] size, *, bool implicit=False) -> Tensor",
            "aten::broadcast_to(Tensor self, SymInt[] size) -> Tensor",
        ],
        lower: expand,
    },
    Function {
        schemas: &["aten::select.int(Tensor self, int dim, int index) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let (axis, index) = (c.int("dim")?, c.int("index")?);
            let axis = c.axis(x, axis)?;
            let end = match index {
                -1 => None,
                index => Some(index.checked_add(1).ok_or("there is no such index")?),
            };
            let one = cut(c, x, axis, index, end, 1)?;
            c.give_with("squeeze", &[one], Attrs::new().with("axes", vec![axis]))
        },
    },
    Function {
        schemas: &[
            "aten::slice.Tensor(Tensor self, int dim=0, SymInt? start=None, SymInt? end=None, \
             SymInt step=1) -> Tensor",
        ],
        lower: slice,
    },
    Function {
        schemas: &[
            "aten::chunk(Tensor self, int chunks, int dim=0) -> Tensor[]",
            "aten::unsafe_chunk(Tensor self, int chunks, int dim=0) -> Tensor[]",
        ],
        lower: |c| {
            let chunks = c.int("chunks")?;
            if !(1..=1024).contains(&chunks) {
                return Err("there are 1 to 1024 chunks".to_owned());
            }
            let whole = axis_size(c)?;
            let size = whole.div_ceil(chunks.unsigned_abs()).max(1);
            parts(c, &equal_parts(whole, size))
        },
    },
    Function {
        schemas: &[
            "aten::split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]",
            "aten::split.sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]",
            "aten::unsafe_split.Tensor(Tensor self, SymInt split_size, int dim=0) -> Tensor[]",
            "aten::split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> Tensor[]",
        ],
        lower: |c| {
            if c.has("split_sizes") {
                let sizes = c.ints("split_sizes")?;
                let sizes: Option<Vec<u64>> =
                    sizes.iter().map(|s| u64::try_from(*s).ok()).collect();
                let sizes = sizes.ok_or("sizes are at least 0")?;
                return parts(c, &sizes);
            }
            let size = c.int("split_size")?;
            let size = u64::try_from(size).ok().filter(|size| *size > 0);
            let size = size.ok_or("`split_size` is at least 1")?;
            let whole = axis_size(c)?;
            if whole / size > 1024 {
                return Err("there are at most 1024 parts".to_owned());
            }
            parts(c, &equal_parts(whole, size))
        },
    },
];

fn size(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    if !c.has("dim") {
        let dims = c.dims(x)?;
        return Arg::list(dims.iter().map(Arg::size).collect());
    }
    let axis = c.int("dim")?;
    let axis = c.axis(x, axis)?;
    Ok(match c.ty(x).dims() {
        Some(dims) => dims.get(axis as usize).map_or(Arg::None, Arg::size),
        None => Arg::SizeOf(x, axis),
    })
}

/// The sizes of an argument as dims; none for a -1 or a hole.
pub(super) fn sizes(c: &Call<'_, '_>, name: &str) -> Result<Vec<Option<Dim>>, String> {
    let one = [c.arg(name).clone()];
    let items = c.arg(name).items().unwrap_or(&one);
    let sizes = items.iter().map(|item| match item {
        Arg::Int(-1) | Arg::None => Ok(None),
        Arg::Int(size) => match u64::try_from(*size) {
            Ok(size) => Ok(Some(Dim::Known(size))),
            Err(_) => Err(format!("a size of {size}")),
        },
        Arg::Dim(dim) => Ok(Some(dim.clone())),
        Arg::SizeOf(..) => Err(unknown_size()),
        other => Err(format!("`{name}` holds {other}, which is no size")),
    });
    sizes.collect()
}

fn reshape(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let name = if c.has("shape") { "shape" } else { "size" };
    // `x.view(x.size(0), -1)` needs no shape: it is a flattening whatever the dims.
    if let Some([Arg::SizeOf(of, 0), Arg::Int(-1)]) = c.arg(name).items()
        && *of == x
    {
        return c.give_with(
            "flatten",
            &[x],
            Attrs::new().with("start", 1i64).with("end", -1i64),
        );
    }
    let sizes = sizes(c, name)?;
    view_as(c, x, sizes)
}

/// A tensor with these sizes, of which one may be left to be found.
pub(super) fn view_as(c: &mut Call<'_, '_>, x: Value, sizes: Vec<Option<Dim>>) -> Lowered {
    let known: Vec<Dim> = sizes.iter().flatten().cloned().collect();
    let dims = if known.len() == sizes.len() {
        known
    } else if known.len() + 1 == sizes.len() {
        let product = |dims: &[Dim]| dims.iter().try_fold(Dim::Known(1), |n, d| n.times(d));
        let before = c.dims(x)?;
        let (all, taken) = product(&before)
            .zip(product(&known))
            .ok_or("the sizes are too large")?;
        let rest = all.floor_div(&taken);
        let rest = rest.filter(|rest| rest.times(&taken).as_ref() == Some(&all));
        let rest =
            rest.ok_or_else(|| format!("the {all} elements of {before:?} do not fill {known:?}"))?;
        sizes
            .into_iter()
            .map(|size| size.unwrap_or_else(|| rest.clone()))
            .collect()
    } else {
        return Err("at most one size is -1".to_owned());
    };
    c.give_with("reshape", &[x], Attrs::new().with("dims", dims))
}

fn expand(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let sizes = sizes(c, "size")?;
    let before = c.dims(x)?;
    let new = sizes.len().checked_sub(before.len());
    let new = new.ok_or_else(|| format!("{before:?} has more dims than it is expanded to"))?;
    let dims = sizes
        .into_iter()
        .enumerate()
        .map(|(axis, size)| match size {
            Some(size) => Ok(size),
            None => {
                let old = axis.checked_sub(new).and_then(|axis| before.get(axis));
                old.cloned()
                    .ok_or_else(|| "a new dim needs a size".to_owned())
            }
        });
    let dims = dims.collect::<Result<Vec<Dim>, String>>()?;
    c.give_with("expand", &[x], Attrs::new().with("dims", dims))
}

fn squeeze(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let one = Dim::Known(1);
    let axes: Vec<i64> = if c.has("dim") {
        let mut axes = Vec::new();
        for axis in c.ints("dim")? {
            let axis = c.axis(x, axis)?;
            let dim = c.ty(x).dims().and_then(|dims| dims.get(axis as usize));
            // A dim of another size stays.
            if dim.is_none_or(|dim| *dim == one) {
                axes.push(axis);
            }
        }
        axes
    } else {
        let dims = c.dims(x)?;
        let ones = dims.iter().enumerate().filter(|(_, dim)| **dim == one);
        ones.map(|(axis, _)| axis as i64).collect()
    };
    match axes.is_empty() || c.ty(x).rank() == Some(0) {
        true => Ok(Arg::Tensor(x)),
        false => c.give_with("squeeze", &[x], Attrs::new().with("axes", axes)),
    }
}

/// Tensors one after the other along the axis `dim`.
fn concat(c: &mut Call<'_, '_>, tensors: &[Value]) -> Lowered {
    let axis = c.int("dim")?;
    let first = tensors
        .iter()
        .find(|t| c.ty(**t).rank() != Some(1))
        .unwrap_or(&tensors[0]);
    let axis = c.axis(*first, axis)?;
    // Types are promoted as those of a sum.
    let dtypes: Option<Vec<DType>> = tensors.iter().map(|t| c.ty(*t).dtype).collect();
    let wider = dtypes.and_then(|all| all.into_iter().reduce(super::pointwise::promoted));
    let tensors = match wider {
        Some(wider) => tensors
            .iter()
            .map(|t| c.cast(*t, wider))
            .collect::<Result<Vec<_>, _>>()?,
        None => tensors.to_vec(),
    };
    // What is empty and of one dim joins anything.
    let none = |c: &Call<'_, '_>, t: Value| c.ty(t).dims() == Some(&[Dim::Known(0)]);
    let some: Vec<Value> = tensors.iter().copied().filter(|t| !none(c, *t)).collect();
    let tensors = if some.is_empty() { tensors } else { some };
    match &tensors[..] {
        [one] => Ok(Arg::Tensor(*one)),
        several => c.give_with("concat", several, Attrs::new().with("axis", axis)),
    }
}

fn slice(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let axis = c.int("dim")?;
    let axis = c.axis(x, axis)?;
    let (start, end) = (c.arg("start").clone(), c.arg("end").clone());
    let step = c.int("step")?;
    slice_between(c, x, axis, &start, &end, step).map(Arg::Tensor)
}

/// Places from start to end of an axis, either of which may be left open, or a size.
pub(super) fn slice_between(
    c: &mut Call<'_, '_>,
    x: Value,
    axis: i64,
    start: &Arg,
    end: &Arg,
    step: i64,
) -> Result<Value, String> {
    let dim = c
        .ty(x)
        .dims()
        .and_then(|dims| dims.get(axis as usize))
        .cloned();
    let whole = |arg: &Arg| match (arg, &dim) {
        (Arg::None, _) => true,
        (Arg::Dim(end), Some(dim)) => end == dim,
        _ => false,
    };
    let end = if whole(end) { Arg::None } else { end.clone() };
    let (start, end) = match (start, &end) {
        (Arg::None, Arg::None) => (0, None),
        (Arg::None, Arg::Int(end)) => (0, Some(*end)),
        (Arg::Int(start), Arg::None) => (*start, None),
        (Arg::Int(start), Arg::Int(end)) => (*start, Some(*end)),
        (start, end) => return symbolic_slice(c, x, axis, start, end, step),
    };
    let size = dim
        .as_ref()
        .and_then(Dim::known)
        .and_then(|size| i64::try_from(size).ok());
    // Python takes places beyond the ends for the ends.
    let (start, end) = match size {
        Some(size) => {
            let place = |at: i64| match at < 0 {
                true => at.saturating_add(size).max(0),
                false => at.min(size),
            };
            let start = place(start);
            (
                start,
                end.map(|end| place(end).max(start))
                    .filter(|end| *end != size),
            )
        }
        None => (start, end.filter(|end| *end < i64::MAX)),
    };
    if start == 0 && end.is_none() && step == 1 {
        return Ok(x);
    }
    cut(c, x, axis, start, end, step)
}

/// A slice whose ends are sizes: the places between them, counted.
fn symbolic_slice(
    c: &mut Call<'_, '_>,
    x: Value,
    axis: i64,
    start: &Arg,
    end: &Arg,
    step: i64,
) -> Result<Value, String> {
    let dims = c.dims(x)?;
    let size = Arg::size(dims.get(axis as usize).ok_or("a scalar has no axis")?);
    let from_end = |at: &Arg| match at {
        Arg::Int(at) if *at < 0 => super::numbers("add", &size, &Arg::Int(*at)),
        // A difference that begins with what it takes away counts from the end.
        Arg::Dim(dim) if dim.to_string().starts_with('-') => super::numbers("add", &size, at),
        at => Ok(at.clone()),
    };
    let start = if *start == Arg::None {
        Arg::Int(0)
    } else {
        from_end(start)?
    };
    let end = if *end == Arg::None {
        size.clone()
    } else {
        from_end(end)?
    };
    if step != 1 {
        return Err("`step` is 1 where an end is a size that is not known".to_owned());
    }
    let length = super::create::size(&super::numbers("sub", &end, &start)?)?;
    let mut places = c.places(DType::I64, &[length], 0)?;
    if start != Arg::Int(0) {
        let start = c.number_tensor(&start)?;
        places = c.op("add", &[places, start])?;
    }
    c.emit("gather", &[x, places], Attrs::new().with("axis", axis))
}

fn cut(
    c: &mut Call<'_, '_>,
    x: Value,
    axis: i64,
    start: i64,
    end: Option<i64>,
    step: i64,
) -> Result<Value, String> {
    let mut attrs = Attrs::new().with("axis", axis).with("start", start);
    if let Some(end) = end {
        attrs.set("end", end);
    }
    if step != 1 {
        attrs.set("step", step);
    }
    c.emit("slice", &[x], attrs)
}

/// The size of the axis `dim` of `self`.
fn axis_size(c: &Call<'_, '_>) -> Result<u64, String> {
    let x = c.tensor("self")?;
    let axis = c.axis(x, c.int("dim")?)?;
    let dims = c.dims(x)?;
    let dim = dims.get(axis as usize).ok_or("a scalar has no axis")?;
    dim.known()
        .ok_or_else(|| format!("an axis of {dim} cannot be divided into parts"))
}

fn equal_parts(whole: u64, size: u64) -> Vec<u64> {
    let count = whole.div_ceil(size).max(1);
    (0..count)
        .map(|place| size.min(whole - place * size))
        .collect()
}

/// Parts of these sizes along the axis `dim` of `self`.
fn parts(c: &mut Call<'_, '_>, sizes: &[u64]) -> Lowered {
    let x = c.tensor("self")?;
    let axis = c.int("dim")?;
    let axis = c.axis(x, axis)?;
    let total = sizes
        .iter()
        .try_fold(0u64, |sum, size| sum.checked_add(*size));
    let total = total.and_then(|total| i64::try_from(total).ok());
    let total = total.ok_or("the parts are too long")?;
    if let Some(dims) = c.ty(x).dims()
        && dims.get(axis as usize).and_then(Dim::known) != Some(total.unsigned_abs())
    {
        return Err(format!(
            "the parts have {total} places, not those of axis {axis} of {dims:?}"
        ));
    }
    let mut found = Vec::with_capacity(sizes.len());
    let mut start = 0i64;
    for size in sizes {
        let end = start + *size as i64;
        found.push(Arg::Tensor(cut(c, x, axis, start, Some(end), 1)?));
        start = end;
    }
    Arg::list(found)
}
