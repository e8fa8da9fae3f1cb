//! Ops that move elements about and leave them as they are, and those that make shapes.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};
use crate::item::Item;
use crate::known::{self, Elements, Known, Num, few};

pub(super) const OPS: &[Op] = &[
    Op::new("Identity", |c| Ok(vec![c.item(0)?.clone()])),
    Op::new("Shape", |c| {
        let ty = c.ty_of(0)?;
        let dims = ty.dims().ok_or(
            "the rank of its operand has to be known; give the shapes of the model's inputs",
        )?;
        let rank = dims.len() as i64;
        let place = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
        let (start, end) = (place(c.int_or("start", 0)), place(c.int_or("end", rank)));
        one(Known::vector(
            dims[start..end.max(start)].iter().map(Num::from).collect(),
        ))
    }),
    Op::new("Size", |c| {
        let ty = c.ty_of(0)?;
        let dims = ty.dims().ok_or(
            "the rank of its operand has to be known; give the shapes of the model's inputs",
        )?;
        let count = dims
            .iter()
            .try_fold(Num::Int(1), |n, dim| n.mul(&Num::from(dim)));
        one(Known::scalar(
            DType::I64,
            count.ok_or("there are too many elements")?,
        ))
    }),
    Op::new("Reshape", reshape),
    Op::new("Flatten", |c| {
        let x = c.x(0)?;
        let rank = c.rank(x)? as i64;
        let axis = c.int_or("axis", 1);
        let axis = if axis < 0 { axis + rank } else { axis };
        let axis = usize::try_from(axis)
            .ok()
            .filter(|axis| *axis <= rank as usize);
        let axis = axis.ok_or_else(|| format!("`axis` lies outside a rank of {rank}"))?;
        one(flatten(c, x, axis)?)
    }),
    Op::new("Squeeze", squeeze),
    Op::new("Unsqueeze", unsqueeze),
    Op::new("Transpose", |c| {
        let rank = match c.ty_of(0)?.rank() {
            Some(rank) => rank,
            None => return Err("the rank of its operand has to be known".into()),
        };
        let order = match c.ints_attr("perm") {
            Some(order) => c.axes(order, rank)?,
            None => (0..rank).rev().collect(),
        };
        if order.len() != rank {
            return Err(format!("`perm` has {} axes for a rank of {rank}", order.len()).into());
        }
        if let Some(known) = c.foldable(0).and_then(|x| known::transpose(&x, &order)) {
            return one(known);
        }
        let x = c.x(0)?;
        one(c.transpose(x, &order)?)
    }),
    Op::new("Concat", |c| {
        let values = c.all()?;
        let first = *values.first().ok_or("has no operands")?;
        let axis = c.axis(c.int_or("axis", 1), c.rank(first)?)?;
        one(c.concat(&values, axis)?)
    })
    .folds(|c, x| {
        let axis = c.axis(c.int_or("axis", 1), x.first()?.rank()).ok()?;
        let operands: Vec<&Known> = x.iter().map(|x| &**x).collect();
        known::concat(&operands, axis)
    }),
    Op::new("Expand", |c| {
        let x = c.x(0)?;
        let wanted = c.dims_operand(1)?;
        let dims = syncarp_ir::broadcast(&c.dims(x)?, &wanted);
        let dims = dims.map_err(|error| Miss::Because(error.message))?;
        one(c.expand(x, &dims)?)
    })
    .folds(|_, x| {
        let dims = x.get(1)?.ints()?;
        let dims: Option<Vec<u64>> = dims.iter().map(|dim| u64::try_from(*dim).ok()).collect();
        let dims = dims?;
        few(&dims)?;
        let ones = Known::new(
            DType::I64,
            dims.clone(),
            Elements::Ints(vec![Num::Int(1); few(&dims)?]),
        );
        // The operand may have larger dims itself.
        let both = known::compare(&cast_to_ints(&x[0])?, &ones, |_, _| Some(true), |_, _| true)?;
        known::expand(&x[0], &both.dims)
    }),
    Op::new("Tile", |c| {
        let x = c.x(0)?;
        let (rank, repeats) = (c.rank(x)?, c.ints(1)?);
        if repeats.len() != rank || repeats.iter().any(|times| *times < 0) {
            return Err(format!("repeats {repeats:?} times for a rank of {rank}").into());
        }
        if repeats.iter().all(|times| *times == 1) {
            return one(x);
        }
        one(c.with("tile", &[x], Attrs::new().with("repeats", repeats))?)
    })
    .folds(|_, x| {
        let times = x.get(1)?.ints()?;
        let mut tiled = known::reshape(&x[0], x[0].dims.clone())?;
        for (axis, times) in times.iter().enumerate() {
            let times = usize::try_from(*times)
                .ok()
                .filter(|times| (1..=4096).contains(times))?;
            tiled = known::concat(&vec![&tiled; times], axis)?;
        }
        Some(tiled)
    }),
    Op::new("ConstantOfShape", constant_of_shape),
    Op::new("EyeLike", eye_like),
    Op::new("Range", range),
    Op::new("Trilu", trilu),
    Op::new("DepthToSpace", depth_to_space),
    Op::new("SpaceToDepth", space_to_depth),
    Op::new("Constant", constant),
];

fn cast_to_ints(x: &Known) -> Option<Known> {
    let count = few(&x.dims)?;
    let items = vec![Num::Int(0); count];
    Some(Known::new(
        DType::I64,
        x.dims.clone(),
        Elements::Ints(items),
    ))
}

/// The product of some dims.
pub(super) fn product(dims: &[Dim]) -> Result<Dim, Miss> {
    let product = dims
        .iter()
        .try_fold(Dim::Known(1), |product, dim| product.times(dim));
    product.ok_or_else(|| "there are too many elements".into())
}

/// The dims before `axis` as one, and those from it on as another.
pub(super) fn flatten(c: &mut Call<'_, '_>, x: Value, axis: usize) -> Result<Value, Miss> {
    let dims = c.dims(x)?;
    let flat = [product(&dims[..axis])?, product(&dims[axis..])?];
    c.reshape(x, &flat)
}

/// A zero copies a dim of the operand, -1 takes what is left.
fn reshape(c: &mut Call<'_, '_>) -> Lowered {
    let wanted: Vec<Num> = match c.version < 5 {
        true => {
            let dims = c.ints_attr("shape").ok_or("`shape` is missing")?;
            dims.iter().map(|dim| Num::Int(*dim)).collect()
        }
        false => {
            let shape = c.must_know(1)?;
            shape
                .nums()
                .ok_or("the shape is of whole numbers")?
                .to_vec()
        }
    };
    let ty = c.ty_of(0)?;
    let own = ty.dims();
    let copied = !c.flag("allowzero");
    let mut dims = Vec::with_capacity(wanted.len());
    let mut rest = None;
    for (axis, num) in wanted.iter().enumerate() {
        dims.push(match num {
            Num::Int(-1) if rest.is_none() => {
                rest = Some(axis);
                Dim::Known(1)
            }
            Num::Int(0) if copied => {
                let dim = own.and_then(|own| own.get(axis)).cloned();
                dim.ok_or_else(|| format!("dim {axis} is to be copied, but is not known"))?
            }
            num => num.dim().ok_or_else(|| format!("dim {axis} is negative"))?,
        });
    }
    if let Some(axis) = rest {
        let own = own.ok_or(
            "the shape of its operand has to be known; give the shapes of the model's inputs",
        )?;
        let (all, others) = (product(own)?, product(&dims)?);
        let exact = all
            .floor_div(&others)
            .filter(|rest| rest.times(&others) == Some(all.clone()));
        dims[axis] = match exact {
            Some(dim) => dim,
            None if all == Dim::Known(0) => Dim::Known(0),
            None => return Err(format!("{ty} has no such dims as {dims:?}").into()),
        };
    }
    let numbers: Option<Vec<u64>> = dims.iter().map(Dim::known).collect();
    if let (Some(x), Some(numbers)) = (c.foldable(0), numbers)
        && let Some(known) = known::reshape(&x, numbers)
    {
        return one(known);
    }
    let x = c.x(0)?;
    one(c.reshape(x, &dims)?)
}

fn squeeze(c: &mut Call<'_, '_>) -> Lowered {
    let ty = c.ty_of(0)?;
    let dims = ty
        .dims()
        .ok_or("the shape of its operand has to be known; give the shapes of the model's inputs")?;
    let named = match c.version < 13 {
        true => c.ints_attr("axes").map(<[i64]>::to_vec),
        false => c.ints_opt(1)?,
    };
    let axes = match named {
        Some(axes) => c.axes(&axes, dims.len())?,
        None => (0..dims.len())
            .filter(|axis| dims[*axis] == Dim::Known(1))
            .collect(),
    };
    if let Some(known) = c.foldable(0) {
        let left = known.dims.iter().enumerate();
        let left = left
            .filter(|(axis, _)| !axes.contains(axis))
            .map(|(_, dim)| *dim);
        if let Some(known) = known::reshape(&known, left.collect()) {
            return one(known);
        }
    }
    let x = c.x(0)?;
    let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
    match axes.is_empty() {
        true => one(x),
        false => one(c.squeeze(x, &axes)?),
    }
}

fn unsqueeze(c: &mut Call<'_, '_>) -> Lowered {
    let named = match c.version < 13 {
        true => c.ints_attr("axes").ok_or("`axes` is missing")?.to_vec(),
        false => c.ints(1)?,
    };
    let rank = c
        .ty_of(0)?
        .rank()
        .ok_or("the rank of its operand has to be known")?;
    let mut axes = c.axes(&named, rank + named.len())?;
    axes.sort_unstable();
    if let Some(known) = c.foldable(0) {
        let mut dims = known.dims.clone();
        axes.iter().for_each(|axis| dims.insert(*axis, 1));
        if let Some(known) = known::reshape(&known, dims) {
            return one(known);
        }
    }
    let x = c.x(0)?;
    let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
    match axes.is_empty() {
        true => one(x),
        false => one(c.unsqueeze(x, &axes)?),
    }
}

/// A tensor of one number, 0.0 by default.
fn constant_of_shape(c: &mut Call<'_, '_>) -> Lowered {
    let dims = c.dims_operand(0)?;
    let (dtype, number) = match c.tensor_attr("value") {
        None => (DType::F32, Elements::Floats(vec![0.0])),
        Some(proto) => {
            let tensor = c.im.tensor_of(proto, "", false)?;
            let known = c.im.known(&tensor, true).filter(|known| known.count() == 1);
            let known = known.ok_or("`value` is one number")?;
            (known.dtype, known.elements.clone())
        }
    };
    let numbers: Option<Vec<u64>> = dims.iter().map(Dim::known).collect();
    if let Some(numbers) = numbers
        && let Some(count) = few(&numbers)
    {
        let elements = match number {
            Elements::Ints(items) => Elements::Ints(vec![items[0].clone(); count]),
            Elements::Floats(items) => Elements::Floats(vec![items[0]; count]),
        };
        return one(Known::new(dtype, numbers, elements));
    }
    let attrs = Attrs::new().with("dtype", dtype).with("dims", dims);
    let attrs = match number {
        Elements::Floats(items) => attrs.with("value", items[0]),
        Elements::Ints(items) => attrs.with("value", items[0].int().unwrap_or_default()),
    };
    one(c.with("constant", &[], attrs)?)
}

fn eye_like(c: &mut Call<'_, '_>) -> Lowered {
    let ty = c.ty_of(0)?;
    let dims = ty
        .dims()
        .ok_or("the shape of its operand has to be known")?
        .to_vec();
    if dims.len() != 2 {
        return Err(format!("takes matrices, not {ty}").into());
    }
    let dtype = c.dtype_attr("dtype")?.or(ty.dtype).unwrap_or(DType::F32);
    let rows = c.iota(DType::I64, &dims, 0)?;
    let columns = c.iota(DType::I64, &dims, 1)?;
    let moved = c.by("add", rows, c.int_or("k", 0) as f64)?;
    let on = c.emit("eq", &[moved, columns])?;
    one(c.cast(on, dtype)?)
}

fn range(c: &mut Call<'_, '_>) -> Lowered {
    let (start, limit, delta) = (c.must_know(0)?, c.must_know(1)?, c.must_know(2)?);
    let dtype = start.dtype;
    let scalar = |known: &Known| match &known.elements {
        Elements::Ints(items) => items.first().cloned(),
        Elements::Floats(_) => None,
    };
    if let (Some(start), Some(limit), Some(delta)) =
        (scalar(&start), scalar(&limit), scalar(&delta))
    {
        if let (Some(a), Some(b), Some(step)) = (start.int(), limit.int(), delta.int()) {
            if step == 0 {
                return Err("a range of step 0 has no end".into());
            }
            let (a, b, step) = (i128::from(a), i128::from(b), i128::from(step));
            let count = ((b - a + step - step.signum()) / step).max(0);
            if let Ok(count) = u64::try_from(count)
                && few(&[count]).is_some()
            {
                let items = (0..count as i128).map(|i| Num::Int((a + i * step) as i64));
                return one(Known::new(
                    dtype,
                    vec![count],
                    Elements::Ints(items.collect()),
                ));
            }
        }
        let one_step = delta.int().filter(|step| *step > 0);
        let step = one_step.ok_or("a range of dims goes upwards")?;
        let reach = limit.sub(&start).and_then(|n| n.add(&Num::Int(step - 1)));
        let count = reach
            .and_then(|reach| reach.div(&Num::Int(step)))
            .and_then(|n| n.dim());
        let count = count.ok_or("how long the range is cannot be said")?;
        let places = c.iota(dtype, &[count], 0)?;
        let places = if step == 1 {
            places
        } else {
            c.by("mul", places, step as f64)?
        };
        if start == Num::Int(0) {
            return one(places);
        }
        let start = c.x(0)?;
        let start = c.reshape(start, &[])?;
        return one(c.add(places, start)?);
    }
    let number = |known: &Known| known.floats().and_then(|items| items.first().copied());
    let (a, b, step) = (number(&start), number(&limit), number(&delta));
    let (Some(a), Some(b), Some(step)) = (a, b, step) else {
        return Err("a range has numbers for bounds".into());
    };
    let count = ((b - a) / step).ceil().max(0.0);
    if !count.is_finite() || count >= 1e9 {
        return Err("the range has no end".into());
    }
    let places = c.iota(dtype, &[Dim::Known(count as u64)], 0)?;
    let places = c.by("mul", places, step)?;
    one(c.by("add", places, a)?)
}

/// The elements above, or below, the diagonal `k`.
fn trilu(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let k = if c.has(1) { c.int(1)? } else { 0 };
    let dims = c.dims(x)?;
    let [.., height, width] = &dims[..] else {
        return Err("takes matrices".into());
    };
    let plane = [height.clone(), width.clone()];
    let rows = c.iota(DType::I64, &plane, 0)?;
    let columns = c.iota(DType::I64, &plane, 1)?;
    let far = c.sub(columns, rows)?;
    let k = c.constant(DType::I64, k)?;
    let op = if c.int_or("upper", 1) != 0 {
        "ge"
    } else {
        "le"
    };
    let within = c.emit(op, &[far, k])?;
    let dtype = c.dtype(x)?;
    if dtype == DType::Bool {
        return one(c.emit("logical_and", &[x, within])?);
    }
    let zero = c.number(x, 0.0)?;
    one(c.select(within, x, zero)?)
}

fn depth_to_space(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    let [n, depth, height, width] = &dims[..] else {
        return Err("takes images [n, c, h, w]".into());
    };
    let block = block_size(c)?;
    let squared = block.times(&block).ok_or("`blocksize` is too large")?;
    let left = depth
        .floor_div(&squared)
        .filter(|left| left.times(&squared).as_ref() == Some(depth));
    let left = left.ok_or("the channels do not divide into blocks")?;
    let split = |first: Dim, second: Dim, third: Dim| {
        [
            n.clone(),
            first,
            second,
            third,
            height.clone(),
            width.clone(),
        ]
    };
    let order = match c.str_or("mode", "DCR")? {
        "CRD" => {
            let parts = split(left.clone(), block.clone(), block.clone());
            (parts, [0, 1, 4, 2, 5, 3])
        }
        _ => (
            split(block.clone(), block.clone(), left.clone()),
            [0, 3, 4, 1, 5, 2],
        ),
    };
    let parts = c.reshape(x, &order.0)?;
    let parts = c.transpose(parts, &order.1)?;
    let sizes = (height.times(&block), width.times(&block));
    let (Some(height), Some(width)) = sizes else {
        return Err("`blocksize` is too large".into());
    };
    one(c.reshape(parts, &[n.clone(), left, height, width])?)
}

fn space_to_depth(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    let [n, depth, height, width] = &dims[..] else {
        return Err("takes images [n, c, h, w]".into());
    };
    let block = block_size(c)?;
    let cut = |size: &Dim| {
        let parts = size.floor_div(&block);
        parts.filter(|parts| parts.times(&block).as_ref() == Some(size))
    };
    let (Some(rows), Some(columns)) = (cut(height), cut(width)) else {
        return Err("the image does not divide into blocks".into());
    };
    let split = [n, depth, &rows, &block, &columns, &block].map(Dim::clone);
    let parts = c.reshape(x, &split)?;
    let order = match c.str_or("mode", "DCR")? {
        "CRD" => [0, 1, 3, 5, 2, 4],
        _ => [0, 3, 5, 1, 2, 4],
    };
    let parts = c.transpose(parts, &order)?;
    let squared = block.times(&block).and_then(|squared| squared.times(depth));
    let depth = squared.ok_or("`blocksize` is too large")?;
    one(c.reshape(parts, &[n.clone(), depth, rows, columns])?)
}

fn block_size(c: &Call<'_, '_>) -> Result<Dim, Miss> {
    let block = u64::try_from(c.int_or("blocksize", 0))
        .ok()
        .filter(|block| *block > 0);
    block
        .map(Dim::Known)
        .ok_or_else(|| "`blocksize` is at least 1".into())
}

/// A tensor that is written down. Large ones are states, under the name of what they give.
fn constant(c: &mut Call<'_, '_>) -> Lowered {
    if let Some(proto) = c.tensor_attr("value") {
        let name = c.node.output.first().map_or("", String::as_str);
        let name = format!("{}{name}", c.scope.path);
        return one(Item::Tensor(c.im.tensor_of(proto, &name, false)?));
    }
    if let Some(items) = c.ints_attr("value_ints") {
        return one(Known::vector(
            items.iter().map(|item| Num::Int(*item)).collect(),
        ));
    }
    if let Some(item) = c.int_attr("value_int") {
        return one(Known::scalar(DType::I64, Num::Int(item)));
    }
    let floats = |dims: Vec<u64>, items| one(Known::new(DType::F32, dims, Elements::Floats(items)));
    if let Some(items) = c.floats_attr("value_floats") {
        return floats(vec![items.len() as u64], items);
    }
    if let Some(item) = c.float_attr("value_float") {
        return floats(Vec::new(), vec![item]);
    }
    if c.attr("sparse_value").is_some() {
        return Err("sparse tensors are not supported; store it dense".into());
    }
    Err("constants of text are not supported".into())
}

/// The last two dims as one.
pub(super) fn flatten_last(c: &mut Call<'_, '_>, x: Value) -> Result<Value, Miss> {
    let mut dims = c.dims(x)?;
    let last = dims.split_off(dims.len().saturating_sub(2));
    dims.push(product(&last)?);
    c.reshape(x, &dims)
}
