//! Functions that repeat, shift and cut tensors, and borders.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::arg::Arg;
use super::call::{Call, unknown_size};
use super::shape::{sizes, view_as};
use super::{Function, Lowered};

/// The most parts that a tensor is cut into.
const MAX_PARTS: u64 = 1024;

/// The longest axis that is taken apart place by place.
const MAX_UNBOUND: u64 = 8192;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &["aten::unflatten.int(Tensor self, int dim, SymInt[] sizes) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let dims = c.dims(x)?;
            let whole = dims.get(axis).cloned().ok_or("a scalar has no axis")?;
            let parts = sizes(c, "sizes")?;
            let known = parts
                .iter()
                .flatten()
                .try_fold(Dim::Known(1), |n, d| n.times(d));
            let rest = known.and_then(|known| whole.floor_div(&known));
            let parts = parts.into_iter().map(|part| part.or_else(|| rest.clone()));
            let parts = parts
                .collect::<Option<Vec<Dim>>>()
                .ok_or("the sizes do not fit")?;
            let mut all = dims;
            all.splice(axis..=axis, parts);
            view_as(c, x, all.into_iter().map(Some).collect())
        },
    },
    Function {
        schemas: &[
            "aten::view_as(Tensor self, Tensor other) -> Tensor",
            "aten::reshape_as(Tensor self, Tensor other) -> Tensor",
        ],
        lower: |c| {
            let (x, other) = (c.tensor("self")?, c.tensor("other")?);
            let dims = c.dims(other)?;
            c.reshaped(x, &dims).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::expand_as(Tensor self, Tensor other) -> Tensor"],
        lower: |c| {
            let (x, other) = (c.tensor("self")?, c.tensor("other")?);
            let dims = c.dims(other)?;
            c.expanded(x, &dims).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::as_strided(Tensor self, SymInt[] size, SymInt[] stride, \
             SymInt? storage_offset=None) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let whole = |name: &str| {
                sizes(c, name)?
                    .into_iter()
                    .collect::<Option<Vec<Dim>>>()
                    .ok_or("a size is left open".to_owned())
            };
            let (dims, strides) = (whole("size")?, whole("stride")?);
            // What lies row-major is the same elements in other dims; of one element no stride counts.
            let mut dense = Dim::Known(1);
            let mut row_major = dims.len() == strides.len();
            for (dim, stride) in dims.iter().zip(&strides).rev() {
                row_major &= *dim == Dim::Known(1) || *stride == dense;
                dense = dense.times(dim).ok_or("the tensor is too large")?;
            }
            let offset = !matches!(c.arg("storage_offset"), Arg::None | Arg::Int(0));
            match row_major && !offset {
                true => c.reshaped(x, &dims).map(Arg::Tensor),
                false => Err("looks at memory in another order: write it with views".to_owned()),
            }
        },
    },
    Function {
        schemas: &["aten::broadcast_tensors(Tensor[] tensors) -> Tensor[]"],
        lower: |c| {
            let tensors = c.tensors("tensors")?;
            let mut shape = Vec::new();
            for tensor in &tensors {
                let dims = c.dims(*tensor)?;
                let both = syncarp_ir::broadcast(&shape, &dims);
                shape = both.map_err(|error| error.message)?.to_vec();
            }
            let tensors = tensors
                .into_iter()
                .map(|t| c.expanded(t, &shape).map(Arg::Tensor));
            Arg::list(tensors.collect::<Result<_, _>>()?)
        },
    },
    Function {
        schemas: &["aten::ravel(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            c.give_with("flatten", &[x], Attrs::new())
        },
    },
    Function {
        schemas: &[
            "aten::movedim.int(Tensor self, int source, int destination) -> Tensor",
            "aten::movedim.intlist(Tensor self, int[] source, int[] destination) -> Tensor",
            "aten::moveaxis.int(Tensor self, int source, int destination) -> Tensor",
            "aten::moveaxis.intlist(Tensor self, int[] source, int[] destination) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let rank = c.dims(x)?.len();
            let axes = |name: &str| {
                let axes = c.ints(name)?.into_iter();
                let axes = axes.map(|axis| c.axis(x, axis).map(|axis| axis as usize));
                axes.collect::<Result<Vec<usize>, String>>()
            };
            let (from, to) = (axes("source")?, axes("destination")?);
            let mut order = vec![None; rank];
            for (from, to) in from.iter().zip(&to) {
                order[*to] = Some(*from);
            }
            let mut rest = (0..rank).filter(|axis| !from.contains(axis));
            let order = order.into_iter().map(|axis| axis.or_else(|| rest.next()));
            let order = order
                .collect::<Option<Vec<usize>>>()
                .ok_or("an axis is named twice")?;
            c.permuted(x, &order).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::mT(Tensor self) -> Tensor",
            "aten::mH(Tensor self) -> Tensor",
            "aten::adjoint(Tensor self) -> Tensor",
            "aten::matrix_H(Tensor self) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let rank = c.dims(x)?.len();
            let mut order: Vec<usize> = (0..rank).collect();
            if rank >= 2 {
                order.swap(rank - 2, rank - 1);
            }
            c.permuted(x, &order).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::numpy_T(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let order: Vec<usize> = (0..c.dims(x)?.len()).rev().collect();
            c.permuted(x, &order).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::unbind.int(Tensor self, int dim=0) -> Tensor[]"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let count = known_size(c, x, axis)?;
            if count > MAX_UNBOUND {
                return Err(format!(
                    "an axis of {count} is taken apart into too many parts"
                ));
            }
            let mut parts = Vec::new();
            for at in 0..count as i64 {
                let part = c.cut(x, axis, at, Some(at + 1))?;
                let attrs = Attrs::new().with("axes", vec![axis as i64]);
                parts.push(Arg::Tensor(c.emit("squeeze", &[part], attrs)?));
            }
            Arg::list(parts)
        },
    },
    Function {
        schemas: &[
            "aten::tensor_split.sections(Tensor self, SymInt sections, int dim=0) -> Tensor[]",
            "aten::tensor_split.indices(Tensor self, SymInt[] indices, int dim=0) -> Tensor[]",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let size = known_size(c, x, axis)? as i64;
            let mut ends: Vec<i64> = match c.has("sections") {
                true => {
                    let count = c.int("sections")?;
                    if !(1..=MAX_PARTS as i64).contains(&count) {
                        return Err(format!("there are 1 to {MAX_PARTS} parts"));
                    }
                    let (least, more) = (size / count, size % count);
                    (1..count).map(|at| at * least + at.min(more)).collect()
                }
                false => c.ints("indices")?,
            };
            ends.push(size);
            let mut parts = Vec::with_capacity(ends.len());
            let mut start = 0;
            for end in ends {
                let end = if end < 0 { end + size } else { end }.clamp(start, size);
                parts.push(Arg::Tensor(c.cut(x, axis, start, Some(end))?));
                start = end;
            }
            Arg::list(parts)
        },
    },
    Function {
        schemas: &["aten::narrow(Tensor self, int dim, SymInt start, SymInt length) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.axis(x, c.int("dim")?)?;
            let (start, length) = (c.arg("start").clone(), c.arg("length").clone());
            let end = super::numbers("add", &start, &length)?;
            super::shape::slice_between(c, x, axis, &start, &end, 1).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::repeat(Tensor self, SymInt[] repeats) -> Tensor",
            "aten::tile(Tensor self, SymInt[] dims) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let times = sizes(c, if c.has("repeats") { "repeats" } else { "dims" })?;
            let times = times.into_iter().collect::<Option<Vec<Dim>>>();
            let mut times = times.ok_or("a number of times is at least 0")?;
            let dims = c.dims(x)?;
            while times.len() < dims.len() {
                times.insert(0, Dim::Known(1));
            }
            repeat(c, x, &dims, &times).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, \
             SymInt? output_size=None) -> Tensor",
        ],
        lower: |c| {
            let mut x = c.tensor("self")?;
            let times = c.int("repeats")?;
            let times = u64::try_from(times).map_err(|_| "`repeats` is at least 0".to_owned())?;
            let axis = match c.int_opt("dim")? {
                Some(axis) => c.axis(x, axis)? as usize,
                None => {
                    x = c.emit("flatten", &[x], Attrs::new())?;
                    0
                }
            };
            repeat_each(c, x, axis, times).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor"],
        lower: roll,
    },
    Function {
        schemas: &["aten::tril(Tensor self, SymInt diagonal=0) -> Tensor"],
        lower: |c| triangle(c, "le"),
    },
    Function {
        schemas: &["aten::triu(Tensor self, SymInt diagonal=0) -> Tensor"],
        lower: |c| triangle(c, "ge"),
    },
    Function {
        schemas: &["aten::diagonal(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let (a, b) = (c.axis(x, c.int("dim1")?)?, c.axis(x, c.int("dim2")?)?);
            if c.int("offset")? != 0 || a == b {
                return Err("gives the main diagonal of two axes here".to_owned());
            }
            // The diagonal is what is left of the sum with a matrix of ones on it.
            let dims = c.dims(x)?;
            let (a, b) = (a as usize, b as usize);
            if dims[a] != dims[b] {
                return Err("gives the diagonal of two axes of one size here".to_owned());
            }
            let mut plane = vec![Dim::Known(1); dims.len()];
            (plane[a], plane[b]) = (dims[a].clone(), dims[b].clone());
            let row = c.places(DType::I64, &plane, a)?;
            let column = c.places(DType::I64, &plane, b)?;
            let on = c.op("eq", &[row, column])?;
            let zero = c.like(x, 0.0)?;
            let kept = c.op("where", &[on, x, zero])?;
            let sum = c.emit("sum", &[kept], Attrs::new().with("axes", vec![a as i64]))?;
            // It stands last.
            let at = if b > a { b - 1 } else { b };
            let mut order: Vec<usize> = (0..dims.len() - 1).filter(|axis| *axis != at).collect();
            order.push(at);
            c.permuted(sum, &order).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::pixel_shuffle(Tensor self, int upscale_factor) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let factor = factor(c, "upscale_factor")?;
            let (dims, rank) = image(c, x)?;
            let [.., channels, height, width] = &dims[..] else {
                return Err(unknown_size());
            };
            let (r, lead) = (Dim::Known(factor), &dims[..rank - 3]);
            let channels = channels.floor_div(&Dim::Known(factor * factor));
            let channels = channels.ok_or("the channels do not fit")?;
            let apart = [
                channels.clone(),
                r.clone(),
                r.clone(),
                height.clone(),
                width.clone(),
            ];
            let apart: Vec<Dim> = lead.iter().cloned().chain(apart).collect();
            let x = c.reshaped(x, &apart)?;
            let at = rank - 3;
            let order: Vec<usize> = (0..at)
                .chain([at, at + 3, at + 1, at + 4, at + 2])
                .collect();
            let x = c.permuted(x, &order)?;
            let sides = [height.times(&r), width.times(&r)];
            let [Some(height), Some(width)] = sides else {
                return Err("the image becomes too large".to_owned());
            };
            let whole: Vec<Dim> = lead
                .iter()
                .cloned()
                .chain([channels, height, width])
                .collect();
            c.reshaped(x, &whole).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let factor = factor(c, "downscale_factor")?;
            let (dims, rank) = image(c, x)?;
            let [.., channels, height, width] = &dims[..] else {
                return Err(unknown_size());
            };
            let (r, lead) = (Dim::Known(factor), &dims[..rank - 3]);
            let sides = [height.floor_div(&r), width.floor_div(&r)];
            let [Some(height), Some(width)] = sides else {
                return Err("the image does not fit".to_owned());
            };
            let apart = [
                channels.clone(),
                height.clone(),
                r.clone(),
                width.clone(),
                r.clone(),
            ];
            let apart: Vec<Dim> = lead.iter().cloned().chain(apart).collect();
            let x = c.reshaped(x, &apart)?;
            let at = rank - 3;
            let order: Vec<usize> = (0..at)
                .chain([at, at + 2, at + 4, at + 1, at + 3])
                .collect();
            let x = c.permuted(x, &order)?;
            let channels = channels.times(&Dim::Known(factor * factor));
            let channels = channels.ok_or("the channels become too many")?;
            let whole: Vec<Dim> = lead
                .iter()
                .cloned()
                .chain([channels, height, width])
                .collect();
            c.reshaped(x, &whole).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::channel_shuffle(Tensor self, SymInt groups) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let groups = factor(c, "groups")?;
            let dims = c.dims(x)?;
            let each = dims
                .get(1)
                .and_then(|dim| dim.floor_div(&Dim::Known(groups)));
            let each = each.ok_or("the channels do not fit")?;
            let mut apart = dims.clone();
            apart.splice(1..2, [Dim::Known(groups), each]);
            let apart = c.reshaped(x, &apart)?;
            let order: Vec<usize> = [0, 2, 1].into_iter().chain(3..=dims.len()).collect();
            let turned = c.permuted(apart, &order)?;
            c.reshaped(turned, &dims).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::hstack(Tensor[] tensors) -> Tensor",
            "aten::column_stack(Tensor[] tensors) -> Tensor",
        ],
        lower: |c| {
            let tensors = c.tensors("tensors")?;
            let axis = usize::from(c.dims(tensors[0])?.len() > 1);
            c.joined(&tensors, axis).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::vstack(Tensor[] tensors) -> Tensor"],
        lower: |c| {
            let mut tensors = c.tensors("tensors")?;
            for tensor in &mut tensors {
                if c.dims(*tensor)?.len() < 2 {
                    let attrs = Attrs::new().with("axes", vec![0i64]);
                    *tensor = c.emit("unsqueeze", &[*tensor], attrs)?;
                }
            }
            c.joined(&tensors, 0).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::meshgrid(Tensor[] tensors) -> Tensor[]",
            "aten::meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]",
        ],
        lower: |c| {
            let mut tensors = c.tensors("tensors")?;
            let swaps = c.has("indexing") && c.str_opt("indexing")? == Some("xy");
            let count = tensors.len();
            let mut order: Vec<usize> = (0..count).collect();
            if swaps && count >= 2 {
                tensors.swap(0, 1);
                order.swap(0, 1);
            }
            let mut dims = Vec::with_capacity(count);
            for tensor in &tensors {
                dims.push(c.dims(*tensor)?.first().cloned().unwrap_or(Dim::Known(1)));
            }
            let mut grids = vec![Arg::None; count];
            for (axis, tensor) in tensors.iter().enumerate() {
                let mut line = vec![Dim::Known(1); count];
                line[axis] = dims[axis].clone();
                let line = c.reshaped(*tensor, &line)?;
                let grid = c.expanded(line, &dims)?;
                grids[order[axis]] = Arg::Tensor(c.permuted(grid, &order)?);
            }
            Arg::list(grids)
        },
    },
    Function {
        schemas: &[
            "aten::pad(Tensor self, SymInt[] pad, str mode='constant', float? value=None) \
             -> Tensor",
            "aten::constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor",
            "functional::pad(Tensor self, int[] pad, str mode='constant', float? value=None) \
             -> Tensor",
        ],
        lower: |c| {
            let mode = match c.has("mode") {
                true => c.str_opt("mode")?.unwrap_or("constant").to_owned(),
                false => "constant".to_owned(),
            };
            border(c, "pad", &mode)
        },
    },
    Function {
        schemas: &[
            "aten::reflection_pad1d(Tensor self, SymInt[2] padding) -> Tensor",
            "aten::reflection_pad2d(Tensor self, SymInt[4] padding) -> Tensor",
            "aten::reflection_pad3d(Tensor self, SymInt[6] padding) -> Tensor",
        ],
        lower: |c| border(c, "padding", "reflect"),
    },
    Function {
        schemas: &[
            "aten::replication_pad1d(Tensor self, SymInt[2] padding) -> Tensor",
            "aten::replication_pad2d(Tensor self, SymInt[4] padding) -> Tensor",
            "aten::replication_pad3d(Tensor self, SymInt[6] padding) -> Tensor",
        ],
        lower: |c| border(c, "padding", "replicate"),
    },
    Function {
        schemas: &[
            "aten::slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? start=None, \
             SymInt? end=None, SymInt step=1) -> Tensor",
        ],
        lower: |c| {
            let (x, source) = (c.tensor("self")?, c.tensor("src")?);
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let step = c.int("step")?;
            let size = known_size(c, x, axis)? as i64;
            let place = |at: i64| {
                if at < 0 {
                    at.saturating_add(size).max(0)
                } else {
                    at.min(size)
                }
            };
            let start = place(c.int_opt("start")?.unwrap_or(0));
            let end = place(c.int_opt("end")?.unwrap_or(size)).max(start);
            if step != 1 {
                return put_every(c, x, source, axis, (start, end, size), step).map(Arg::Tensor);
            }
            put_between(c, x, source, axis, (start, end, size)).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> Tensor",
        ],
        lower: |c| {
            let (x, source) = (c.tensor("self")?, c.tensor("src")?);
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let size = known_size(c, x, axis)? as i64;
            let index = c.int("index")?;
            let at = if index < 0 { index + size } else { index };
            let attrs = Attrs::new().with("axes", vec![axis as i64]);
            let source = c.emit("unsqueeze", &[source], attrs)?;
            put_between(c, x, source, axis, (at, at + 1, size)).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::unfold(Tensor self, int dimension, int size, int step) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.axis(x, c.int("dimension")?)? as usize;
            let (length, step) = (c.int("size")?, c.int("step")?);
            let size = known_size(c, x, axis)? as i64;
            if !(1..=size).contains(&length) || step < 1 {
                return Err("windows lie within the axis".to_owned());
            }
            let count = (size - length) / step + 1;
            if count as u64 * length as u64 > 1 << 16 {
                return Err("there are too many windows".to_owned());
            }
            let places = (0..(count * length) as usize).map(|at| {
                let at = at as i64;
                (at / length * step + at % length) as f64
            });
            let dims = vec![Dim::Known(count as u64), Dim::Known(length as u64)];
            let index = c.written_down(DType::I64, places, dims)?;
            let attrs = Attrs::new().with("axis", axis as i64);
            let windows = c.emit("gather", &[x, index], attrs)?;
            // The window's own axis stands last.
            let rank = c.dims(windows)?.len();
            let mut order: Vec<usize> = (0..rank).filter(|at| *at != axis + 1).collect();
            order.push(axis + 1);
            c.permuted(windows, &order).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, \
             int[2] stride) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let attrs = columns(c)?;
            c.give_with("im2col", &[x], attrs)
        },
    },
    Function {
        schemas: &[
            "aten::col2im(Tensor self, SymInt[2] output_size, int[2] kernel_size, \
             int[2] dilation, int[2] padding, int[2] stride) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let attrs = columns(c)?.with("output", c.window("output_size", 2, None, 1)?);
            c.give_with("col2im", &[x], attrs)
        },
    },
];

fn columns(c: &Call<'_, '_>) -> Result<Attrs, String> {
    Ok(Attrs::new()
        .with("kernel", c.window("kernel_size", 2, None, 1)?)
        .with("dilation", c.window("dilation", 2, None, 1)?)
        .with("padding", c.window("padding", 2, None, 0)?)
        .with("stride", c.window("stride", 2, None, 1)?))
}

fn factor(c: &Call<'_, '_>, name: &str) -> Result<u64, String> {
    let factor = c.int(name)?;
    let factor = u64::try_from(factor)
        .ok()
        .filter(|factor| (1..=4096).contains(factor));
    factor.ok_or_else(|| format!("`{name}` is at least 1"))
}

fn image(c: &Call<'_, '_>, x: Value) -> Result<(Vec<Dim>, usize), String> {
    let dims = c.dims(x)?;
    let rank = dims.len();
    match rank >= 3 {
        true => Ok((dims, rank)),
        false => Err("takes channels of images".to_owned()),
    }
}

fn known_size(c: &Call<'_, '_>, x: Value, axis: usize) -> Result<u64, String> {
    let dims = c.dims(x)?;
    let dim = dims.get(axis).ok_or("a scalar has no axis")?;
    let size = dim.known().filter(|size| *size <= i64::MAX as u64);
    size.ok_or_else(|| format!("an axis of {dim} cannot be divided into parts"))
}

/// A tensor with the places from start to end of an axis replaced.
fn put_between(
    c: &mut Call<'_, '_>,
    x: Value,
    part: Value,
    axis: usize,
    (start, end, size): (i64, i64, i64),
) -> Result<Value, String> {
    if !(0 <= start && start <= end && end <= size) {
        return Err(format!(
            "no places from {start} to {end} on an axis of {size}"
        ));
    }
    let mut parts = Vec::new();
    if start > 0 {
        parts.push(c.cut(x, axis, 0, Some(start))?);
    }
    if start < end {
        let dtype = c.dtype(x);
        parts.push(c.cast(part, dtype)?);
    }
    if end < size {
        parts.push(c.cut(x, axis, end, None)?);
    }
    c.joined(&parts, axis)
}

/// The same of every so many-th place.
fn put_every(
    c: &mut Call<'_, '_>,
    x: Value,
    part: Value,
    axis: usize,
    (start, end, size): (i64, i64, i64),
    step: i64,
) -> Result<Value, String> {
    if step < 1 || size > 1 << 16 {
        return Err("`step` is at least 1".to_owned());
    }
    if start >= end {
        return Ok(x);
    }
    let last = (end - 1 - start) / step;
    let all = || (0..size as usize).map(|at| at as i64);
    let from = all().map(|at| ((at - start) / step).clamp(0, last) as f64);
    let taken = |at: i64| (start..end).contains(&at) && (at - start) % step == 0;
    let which = all().map(|at| f64::from(u8::from(taken(at))));
    let line = Dim::Known(size.unsigned_abs());
    let mut column = vec![Dim::Known(1); c.dims(x)?.len() - axis];
    column[0] = line.clone();
    let index = c.written_down(DType::I64, from, vec![line])?;
    let which = c.written_down(DType::I64, which, column)?;
    let which = c.cast(which, DType::Bool)?;
    let part = c.cast(part, c.dtype(x))?;
    let spread = c.emit(
        "gather",
        &[part, index],
        Attrs::new().with("axis", axis as i64),
    )?;
    c.op("where", &[which, spread, x])
}

/// The tensor so many times along each axis; axes before its own are new.
fn repeat(c: &mut Call<'_, '_>, x: Value, dims: &[Dim], times: &[Dim]) -> Result<Value, String> {
    let new = times.len() - dims.len();
    let (mut apart, mut wide, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for (axis, times) in times.iter().enumerate() {
        let size = if axis < new {
            Dim::Known(1)
        } else {
            dims[axis - new].clone()
        };
        apart.extend([Dim::Known(1), size.clone()]);
        wide.extend([times.clone(), size.clone()]);
        whole.push(size.times(times).ok_or("the tensor becomes too large")?);
    }
    let x = c.reshaped(x, &apart)?;
    let x = c.expanded(x, &wide)?;
    c.reshaped(x, &whole)
}

/// Each place of an axis so many times, one after the other.
pub(super) fn repeat_each(
    c: &mut Call<'_, '_>,
    x: Value,
    axis: usize,
    times: u64,
) -> Result<Value, String> {
    if times == 1 {
        return Ok(x);
    }
    let dims = c.dims(x)?;
    let size = dims.get(axis).ok_or("a scalar has no axis")?;
    let whole = size
        .times(&Dim::Known(times))
        .ok_or("the tensor becomes too large")?;
    let mut wide = dims.clone();
    wide.insert(axis + 1, Dim::Known(times));
    let attrs = Attrs::new().with("axes", vec![axis as i64 + 1]);
    let x = c.emit("unsqueeze", &[x], attrs)?;
    let x = c.expanded(x, &wide)?;
    let mut dims = dims;
    dims[axis] = whole;
    c.reshaped(x, &dims)
}

fn roll(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let (shifts, axes) = (c.ints("shifts")?, c.ints("dims")?);
    if axes.is_empty() {
        let [shift] = shifts[..] else {
            return Err("takes one shift without axes".to_owned());
        };
        let dims = c.dims(x)?;
        let flat = c.emit("flatten", &[x], Attrs::new())?;
        let rolled = shifted(c, flat, 0, shift)?;
        return c.reshaped(rolled, &dims).map(Arg::Tensor);
    }
    if shifts.len() != axes.len() {
        return Err("takes a shift for each axis".to_owned());
    }
    let mut y = x;
    for (shift, axis) in shifts.iter().zip(axes) {
        let axis = c.axis(x, axis)? as usize;
        y = shifted(c, y, axis, *shift)?;
    }
    Ok(Arg::Tensor(y))
}

fn shifted(c: &mut Call<'_, '_>, x: Value, axis: usize, shift: i64) -> Result<Value, String> {
    let dims = c.dims(x)?;
    let size = dims.get(axis).ok_or("a scalar has no axis")?;
    // The last places come first; a size that is not known is at least the shift.
    let shift = match size.known() {
        Some(0) => return Ok(x),
        Some(size) => shift.rem_euclid(i64::try_from(size).unwrap_or(i64::MAX)),
        None => shift,
    };
    if shift == 0 {
        return Ok(x);
    }
    let at = shift.checked_neg().ok_or("the shift is too large")?;
    let (last, first) = (c.cut(x, axis, at, None)?, c.cut(x, axis, 0, Some(at))?);
    c.joined(&[last, first], axis)
}

/// What lies on one side of a diagonal, zeros elsewhere.
fn triangle(c: &mut Call<'_, '_>, side: &str) -> Lowered {
    let x = c.tensor("self")?;
    let dims = c.dims(x)?;
    let [.., rows, columns] = &dims[..] else {
        return Err("takes matrices".to_owned());
    };
    let plane = [rows.clone(), columns.clone()];
    let row = c.places(DType::I64, &plane, 0)?;
    let mut column = c.places(DType::I64, &plane, 1)?;
    let diagonal = c.int("diagonal")?;
    if diagonal != 0 {
        let diagonal = c.constant(DType::I64, diagonal)?;
        column = c.op("sub", &[column, diagonal])?;
    }
    let kept = c.op(side, &[column, row])?;
    if c.dtype(x) == DType::Bool {
        return c.give("logical_and", &[x, kept]);
    }
    let zero = c.like(x, 0.0)?;
    c.give("where", &[kept, x, zero])
}

/// A border around the last axes; PyTorch's list begins with the last one.
fn border(c: &mut Call<'_, '_>, name: &str, mode: &str) -> Lowered {
    let x = c.tensor("self")?;
    let widths = c.ints(name)?;
    let rank = c.ty(x).rank().ok_or_else(unknown_size)?;
    if widths.len() % 2 != 0 || widths.len() / 2 > rank {
        return Err(format!("`{name}` has two widths for each of the last axes"));
    }
    let mode = match mode {
        "constant" => "constant",
        "reflect" => "reflect",
        "replicate" => "edge",
        "circular" => "wrap",
        other => return Err(format!("the mode `{other}` is not known here")),
    };
    let (mut low, mut high) = (vec![0i64; rank], vec![0i64; rank]);
    let mut x = x;
    for (at, pair) in widths.chunks(2).enumerate() {
        let axis = rank - 1 - at;
        (low[axis], high[axis]) = (pair[0].max(0), pair[1].max(0));
        // A negative width takes away.
        if pair[0] < 0 || pair[1] < 0 {
            let end = (pair[1] < 0).then_some(pair[1]);
            let start = pair[0].min(0).checked_neg().ok_or("a width is too large")?;
            x = c.cut(x, axis, start, end)?;
        }
    }
    if low.iter().chain(&high).all(|width| *width == 0) {
        return Ok(Arg::Tensor(x));
    }
    let number = match c.has("value") && *c.arg("value") != Arg::None {
        true => c.any_number("value")?,
        false => 0.0,
    };
    let value = c.like(x, number)?;
    let mut attrs = Attrs::new().with("low", low).with("high", high);
    if mode != "constant" {
        attrs.set("mode", mode);
    }
    c.give_with("pad", &[x, value], attrs)
}
