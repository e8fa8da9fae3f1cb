//! Functions that take or put elements by tensors of indices.

use syncarp_ir::{Attrs, DType, Dim, Value, broadcast};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &["aten::index_select(Tensor self, int dim, Tensor index) -> Tensor"],
        lower: |c| {
            let (x, index) = (c.tensor("self")?, c.tensor("index")?);
            let axis = c.axis(x, c.int("dim")?)?;
            c.give_with("gather", &[x, index], Attrs::new().with("axis", axis))
        },
    },
    Function {
        schemas: &[
            "aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor",
        ],
        lower: |c| {
            let (x, index) = (c.tensor("self")?, c.tensor("index")?);
            let axis = c.axis(x, c.int("dim")?)?;
            let x = cut_to(c, x, index, axis)?;
            c.give_with(
                "gather_elements",
                &[x, index],
                Attrs::new().with("axis", axis),
            )
        },
    },
    Function {
        schemas: &["aten::take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor"],
        lower: |c| {
            let (x, index) = (c.tensor("self")?, c.tensor("indices")?);
            let axis = c.int_opt("dim")?.ok_or("`dim` is needed here")?;
            let axis = c.axis(x, axis)?;
            let (mut of_x, mut of_index) = (c.dims(x)?, c.dims(index)?);
            if of_x.len() != of_index.len() {
                return Err("takes indices of the tensor's rank".to_owned());
            }
            for at in 0..of_x.len() {
                if at as i64 != axis {
                    let both = broadcast(&of_x[at..=at], &of_index[at..=at]);
                    let both = both.map_err(|error| error.message)?;
                    (of_x[at], of_index[at]) = (both[0].clone(), both[0].clone());
                }
            }
            let (x, index) = (c.expanded(x, &of_x)?, c.expanded(index, &of_index)?);
            c.give_with(
                "gather_elements",
                &[x, index],
                Attrs::new().with("axis", axis),
            )
        },
    },
    Function {
        schemas: &[
            "aten::scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor",
            "aten::scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
            "aten::scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce) \
             -> Tensor",
        ],
        lower: |c| {
            let reduction = match c.has("reduce") {
                false => None,
                true => match c.str_opt("reduce")? {
                    Some("add") => Some("add"),
                    Some("multiply") => Some("mul"),
                    other => return Err(format!("`reduce` cannot be {other:?} here")),
                },
            };
            scatter(c, reduction)
        },
    },
    Function {
        schemas: &["aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor"],
        lower: |c| scatter(c, Some("add")),
    },
    Function {
        schemas: &[
            "aten::scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, \
             *, bool include_self=True) -> Tensor",
        ],
        lower: |c| {
            if !c.bool("include_self")? {
                return Err("`include_self` is true here".to_owned());
            }
            let reduction = match c.str_opt("reduce")? {
                Some("sum") => "add",
                Some("prod") => "mul",
                Some("amax") => "max",
                Some("amin") => "min",
                other => return Err(format!("`reduce` cannot be {other:?} here")),
            };
            scatter(c, Some(reduction))
        },
    },
    Function {
        schemas: &[
            "aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor",
            "aten::_unsafe_index.Tensor(Tensor self, Tensor?[] indices) -> Tensor",
        ],
        lower: index,
    },
    Function {
        schemas: &[
            "aten::index_put(Tensor self, Tensor?[] indices, Tensor values, \
             bool accumulate=False) -> Tensor",
            "aten::_unsafe_index_put(Tensor self, Tensor?[] indices, Tensor values, \
             bool accumulate=False) -> Tensor",
        ],
        lower: index_put,
    },
    Function {
        schemas: &[
            "aten::index_add(Tensor self, int dim, Tensor index, Tensor source, *, \
             Scalar alpha=1) -> Tensor",
            "aten::index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor",
        ],
        lower: |c| {
            let (x, index) = (c.tensor("self")?, c.tensor("index")?);
            let mut source = c.tensor("source")?;
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let adds = c.has("alpha");
            if adds && c.number("alpha")? != 1.0 {
                let alpha = c.like(source, c.number("alpha")?)?;
                source = c.op("mul", &[source, alpha])?;
            }
            let rank = c.dims(x)?.len();
            let mut order: Vec<usize> = (0..rank).collect();
            order.remove(axis);
            order.insert(0, axis);
            let (first, source) = (c.permuted(x, &order)?, c.permuted(source, &order)?);
            let put = put(c, first, &[index], source, adds)?;
            c.permuted(put, &inverse(&order)).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
            "aten::index_fill.int_Tensor(Tensor self, int dim, Tensor index, Tensor value) -> Tensor",
        ],
        lower: |c| {
            let (x, index) = (c.tensor("self")?, c.tensor("index")?);
            let axis = c.axis(x, c.int("dim")?)? as usize;
            let dtype = c.dtype(x);
            let value = match c.arg("value") {
                Arg::Tensor(value) => c.cast(*value, dtype)?,
                _ => {
                    let number = c.any_number("value")?;
                    c.constant(dtype, number)?
                }
            };
            let rank = c.dims(x)?.len();
            let mut order: Vec<usize> = (0..rank).collect();
            order.remove(axis);
            order.insert(0, axis);
            let first = c.permuted(x, &order)?;
            let put = put(c, first, &[index], value, false)?;
            c.permuted(put, &inverse(&order)).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor",
            "aten::masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor",
        ],
        lower: |c| {
            let (x, mask) = (c.tensor("self")?, c.tensor("mask")?);
            let dtype = c.dtype(x);
            let value = match c.arg("value") {
                Arg::Tensor(value) => c.cast(*value, dtype)?,
                _ => {
                    let number = c.any_number("value")?;
                    c.constant(dtype, number)?
                }
            };
            let mask = c.cast(mask, DType::Bool)?;
            c.give("where", &[mask, value, x])
        },
    },
    Function {
        schemas: &["aten::masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor"],
        lower: |_| Err("takes as many elements as the data says: use torch.where".to_owned()),
    },
];

/// What of a tensor an index of smaller dims reaches, but along an axis.
fn cut_to(c: &mut Call<'_, '_>, x: Value, index: Value, axis: i64) -> Result<Value, String> {
    let (of_x, of_index) = (c.dims(x)?, c.dims(index)?);
    let mut x = x;
    for (at, (whole, part)) in of_x.iter().zip(&of_index).enumerate() {
        if at as i64 != axis && whole != part {
            let part = part.known().and_then(|part| i64::try_from(part).ok());
            let part = part.ok_or("takes an index of the tensor's dims")?;
            x = c.cut(x, at, 0, Some(part))?;
        }
    }
    Ok(x)
}

fn scatter(c: &mut Call<'_, '_>, reduction: Option<&str>) -> Lowered {
    let (x, index) = (c.tensor("self")?, c.tensor("index")?);
    let axis = c.axis(x, c.int("dim")?)?;
    let dims = c.dims(index)?;
    let dtype = c.dtype(x);
    let updates = match c.has("src") {
        true => {
            let source = c.tensor("src")?;
            let source = c.cast(source, dtype)?;
            // All axes of the source may be longer than the index.
            cut_to(c, source, index, -1)?
        }
        false => {
            let number = c.any_number("value")?;
            c.filled(dtype, number, &dims)?
        }
    };
    let mut attrs = Attrs::new().with("axis", axis);
    if let Some(reduction) = reduction {
        attrs.set("reduction", reduction);
    }
    c.give_with("scatter_elements", &[x, index, updates], attrs)
}

/// The indices of an argument with the axes that they are for.
fn indices(c: &Call<'_, '_>) -> Result<Vec<(usize, Value)>, String> {
    let items = c.arg("indices").items().unwrap_or_default();
    let given = items
        .iter()
        .enumerate()
        .filter_map(|(axis, item)| match item {
            Arg::Tensor(value) => Some((axis, *value)),
            _ => None,
        });
    Ok(given.collect())
}

fn is_mask(c: &Call<'_, '_>, index: Value) -> bool {
    matches!(c.ty(index).dtype, Some(DType::Bool))
}

const MASK: &str = "takes elements by a mask, as many as the data says: use torch.where or a sum \
                    with weights";

fn index(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let given = indices(c)?;
    if given.iter().any(|(_, index)| is_mask(c, *index)) {
        return Err(MASK.to_owned());
    }
    let [(axis, first), rest @ ..] = &given[..] else {
        return Ok(Arg::Tensor(x));
    };
    if rest.is_empty() {
        let attrs = Attrs::new().with("axis", *axis as i64);
        return c.give_with("gather", &[x, *first], attrs);
    }
    let dims = c.dims(x)?;
    if given.last().is_some_and(|(axis, _)| *axis >= dims.len()) {
        return Err("takes more indices than the tensor has axes".to_owned());
    }
    let axes: Vec<usize> = given.iter().map(|(axis, _)| *axis).collect();
    let order = axes_first(&axes, dims.len());
    let x = c.permuted(x, &order)?;
    let (index, shape) = stacked(c, &given)?;
    let taken = c.emit("gather_nd", &[x, index], Attrs::new())?;
    // Where the indexed axes are neighbours, what they became stands in their place.
    let neighbours = axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
    if !neighbours || *axis == 0 {
        return Ok(Arg::Tensor(taken));
    }
    let rank = shape.len() + dims.len() - axes.len();
    let before = shape.len()..shape.len() + axis;
    let after = shape.len() + axis..rank;
    let order: Vec<usize> = before.chain(0..shape.len()).chain(after).collect();
    c.permuted(taken, &order).map(Arg::Tensor)
}

/// All axes, these first.
fn axes_first(axes: &[usize], rank: usize) -> Vec<usize> {
    let others = (0..rank).filter(|axis| !axes.contains(axis));
    axes.iter().copied().chain(others).collect()
}

pub(super) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut back = vec![0; order.len()];
    for (at, axis) in order.iter().enumerate() {
        back[*axis] = at;
    }
    back
}

/// Indices, broadcast, side by side on a last axis; and their dims without that.
fn stacked(c: &mut Call<'_, '_>, given: &[(usize, Value)]) -> Result<(Value, Vec<Dim>), String> {
    let mut shape = Vec::new();
    for (_, index) in given {
        let dims = c.dims(*index)?;
        shape = broadcast(&shape, &dims)
            .map_err(|error| error.message)?
            .to_vec();
    }
    let mut columns = Vec::with_capacity(given.len());
    for (_, index) in given {
        let index = c.cast(*index, DType::I64)?;
        let index = c.expanded(index, &shape)?;
        columns.push(c.emit("unsqueeze", &[index], Attrs::new().with("axes", vec![-1]))?);
    }
    Ok((c.joined(&columns, shape.len())?, shape))
}

fn index_put(c: &mut Call<'_, '_>) -> Lowered {
    let (x, values) = (c.tensor("self")?, c.tensor("values")?);
    let adds = c.bool("accumulate")?;
    let given = indices(c)?;
    let dims = c.dims(x)?;
    let values = c.cast(values, c.dtype(x))?;
    if let [(0, mask)] = given[..]
        && is_mask(c, mask)
    {
        // The same number for all elements that the mask chooses.
        if adds || c.ty(values).elements() != Some(1) {
            return Err(MASK.to_owned());
        }
        let value = c.reshaped(values, &[])?;
        let mut of_mask = c.dims(mask)?;
        of_mask.resize(dims.len().max(of_mask.len()), Dim::Known(1));
        let mask = c.reshaped(mask, &of_mask)?;
        return c.give("where", &[mask, value, x]);
    }
    if given.iter().any(|(_, index)| is_mask(c, *index)) {
        return Err(MASK.to_owned());
    }
    if given.is_empty() || given.last().is_some_and(|(axis, _)| *axis >= dims.len()) {
        return Err("takes an index for some of the tensor's axes".to_owned());
    }
    let axes: Vec<usize> = given.iter().map(|(axis, _)| *axis).collect();
    let neighbours = axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let order = axes_first(&axes, dims.len());
    let first = c.permuted(x, &order)?;
    let indices: Vec<Value> = given.iter().map(|(_, index)| *index).collect();
    let mut values = values;
    if neighbours && axes[0] > 0 {
        // What stands before the indexed axes stands before the values' too.
        let (_, shape) = stacked(c, &given)?;
        let mut all: Vec<Dim> = dims[..axes[0]].to_vec();
        all.extend(shape.iter().cloned());
        all.extend(dims[axes[0] + axes.len()..].iter().cloned());
        values = c.expanded(values, &all)?;
        let lead = axes[0];
        let middle = lead..lead + shape.len();
        let order: Vec<usize> = middle
            .clone()
            .chain(0..lead)
            .chain(middle.end..all.len())
            .collect();
        values = c.permuted(values, &order)?;
    }
    let put = put(c, first, &indices, values, adds)?;
    c.permuted(put, &inverse(&order)).map(Arg::Tensor)
}

/// A tensor with values put where indices of its first axes say.
fn put(
    c: &mut Call<'_, '_>,
    x: Value,
    indices: &[Value],
    values: Value,
    adds: bool,
) -> Result<Value, String> {
    let given: Vec<(usize, Value)> = indices.iter().copied().enumerate().collect();
    let (index, mut shape) = stacked(c, &given)?;
    shape.extend(c.dims(x)?.into_iter().skip(indices.len()));
    let values = c.expanded(values, &shape)?;
    let mut attrs = Attrs::new();
    if adds {
        attrs.set("reduction", "add");
    }
    c.emit("scatter_nd", &[x, index, values], attrs)
}
