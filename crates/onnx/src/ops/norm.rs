//! Normalisations.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};
use crate::item::Item;

pub(super) const OPS: &[Op] = &[
    Op::new("BatchNormalization", batch_norm),
    Op::new("InstanceNormalization", |c| {
        let (x, scale, bias) = (c.x(0)?, c.x(1)?, c.x(2)?);
        let eps = epsilon(c, x)?;
        one(c.emit("instance_norm", &[x, scale, bias, eps])?)
    }),
    Op::new("GroupNormalization", group_norm),
    Op::new("LayerNormalization", layer_norm),
    Op::new("RMSNormalization", rms_norm),
    Op::new("SimplifiedLayerNormalization", rms_norm),
    Op::new("LRN", lrn),
    Op::new("LpNormalization", |c| {
        let x = c.x(0)?;
        let axis = c.axis(c.int_or("axis", -1), c.rank(x)?)? as i64;
        let norm = match c.int_or("p", 2) {
            1 => {
                let x = c.emit("abs", &[x])?;
                c.reduce("sum", x, &[axis], true)?
            }
            2 => {
                let x = c.mul(x, x)?;
                let sum = c.reduce("sum", x, &[axis], true)?;
                c.emit("sqrt", &[sum])?
            }
            p => return Err(format!("`p` is {p}, neither 1 nor 2").into()),
        };
        // Of nothing but zeros nothing else comes.
        let none = c.by("eq", norm, 0.0)?;
        let share = c.div(x, norm)?;
        let zero = c.number(x, 0.0)?;
        one(c.select(none, zero, share)?)
    }),
    Op::new("MeanVarianceNormalization", |c| {
        let x = c.x(0)?;
        let rank = c.rank(x)?;
        let axes = c.axes(c.ints_attr("axes").unwrap_or(&[0, 2, 3]), rank)?;
        let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
        let mean = c.reduce("mean", x, &axes, true)?;
        let moved = c.sub(x, mean)?;
        let squared = c.mul(moved, moved)?;
        let variance = c.reduce("mean", squared, &axes, true)?;
        let deviation = c.emit("sqrt", &[variance])?;
        let deviation = c.by("add", deviation, 1e-9)?;
        one(c.div(moved, deviation)?)
    }),
];

fn epsilon(c: &mut Call<'_, '_>, x: Value) -> Result<Value, Miss> {
    let eps = c.float_or("epsilon", f64::from(1e-5f32));
    c.number(x, eps)
}

/// In training form where the file says so: before version 14 by asking for statistics.
fn batch_norm(c: &mut Call<'_, '_>) -> Lowered {
    let operands = [c.x(0)?, c.x(1)?, c.x(2)?, c.x(3)?, c.x(4)?];
    let [x, scale, bias, mean, variance] = operands;
    let dtype = c.dtype(x)?;
    let eps = epsilon(c, x)?;
    let training = match c.version {
        14.. => c.flag("training_mode"),
        7..14 => c.asks(1) || c.asks(2),
        _ => c.asks(1) && !c.flag("is_test"),
    };
    if c.version < 9 && c.int_or("spatial", 1) == 0 {
        return Err("norms of every place of their own are not supported; use spatial=1".into());
    }
    let mut like = |value| c.cast(value, dtype);
    let (scale, bias) = (like(scale)?, like(bias)?);
    let (mean, variance) = (like(mean)?, like(variance)?);
    if !training {
        return one(c.emit("batch_norm_eval", &[x, scale, bias, mean, variance, eps])?);
    }
    // The share of the old statistics here, of the new ones in the IR.
    let keep = c.float_or("momentum", 0.9);
    let momentum = c.number(x, 1.0 - keep)?;
    let operands = [x, scale, bias, mean, variance, eps, momentum];
    let results = c.emit_all("batch_norm_train", &operands, Attrs::new())?;
    // The format's variance is the biased one.
    let dims = c.dims(x)?;
    let axes: Vec<i64> = (0..dims.len() as i64).filter(|axis| *axis != 1).collect();
    let attrs = Attrs::new().with("axes", axes).with("correction", 0i64);
    let batch = c.with("var", &[x], attrs)?;
    let old = c.by("mul", variance, keep)?;
    let new = c.by("mul", batch, 1.0 - keep)?;
    let variance = c.add(old, new)?;
    Ok(vec![results[0].into(), results[1].into(), variance.into()])
}

/// Before version 21 there is one scale for each group, since then for each channel.
fn group_norm(c: &mut Call<'_, '_>) -> Lowered {
    let (x, mut scale, mut bias) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let groups = c.int_or("num_groups", 1);
    let channels = c
        .dims(x)?
        .get(1)
        .and_then(Dim::known)
        .ok_or("the channels have to be known")?;
    let each = channels
        .checked_div(u64::try_from(groups).unwrap_or(0))
        .unwrap_or(0);
    if groups < 1 || each * groups as u64 != channels {
        return Err(format!("{channels} channels do not form {groups} groups").into());
    }
    if c.version < 21 {
        let mut spread = |value: Value| -> Result<Value, Miss> {
            let column = c.reshape(value, &[Dim::Known(groups as u64), Dim::Known(1)])?;
            let wide = c.expand(column, &[Dim::Known(groups as u64), Dim::Known(each)])?;
            c.reshape(wide, &[Dim::Known(channels)])
        };
        (scale, bias) = (spread(scale)?, spread(bias)?);
    }
    let eps = epsilon(c, x)?;
    let attrs = Attrs::new().with("groups", groups);
    one(c.with("group_norm", &[x, scale, bias, eps], attrs)?)
}

/// The numbers that norms compute in: at least single precision.
fn stash(c: &mut Call<'_, '_>, x: Value) -> Result<Value, Miss> {
    let dtype = c.dtype(x)?;
    match matches!(dtype, DType::F16 | DType::BF16) && c.int_or("stash_type", 1) == 1 {
        true => c.cast(x, DType::F32),
        false => Ok(x),
    }
}

/// A scale or bias with exactly the dims that are normalised together.
fn trailing(c: &mut Call<'_, '_>, value: Value, dims: &[Dim], dtype: DType) -> Result<Value, Miss> {
    let value = c.cast(value, dtype)?;
    c.expand(value, dims)
}

fn layer_norm(c: &mut Call<'_, '_>) -> Lowered {
    let (given, scale, bias) = (c.x(0)?, c.x(1)?, c.x_opt(2)?);
    let outer = c.dtype(given)?;
    let x = stash(c, given)?;
    let dtype = c.dtype(x)?;
    let dims = c.dims(x)?;
    let axis = c.axis(c.int_or("axis", -1), dims.len())?;
    let scale = trailing(c, scale, &dims[axis..], dtype)?;
    let bias = match bias {
        Some(bias) => trailing(c, bias, &dims[axis..], dtype)?,
        None => c.filled(dtype, 0.0, &dims[axis..])?,
    };
    let eps = epsilon(c, x)?;
    let attrs = Attrs::new().with("axes", (dims.len() - axis) as i64);
    let results = c.emit_all("layer_norm", &[x, scale, bias, eps], attrs)?;
    let mut kept = dims[..axis].to_vec();
    kept.resize(dims.len(), Dim::Known(1));
    let y = c.cast(results[0], outer)?;
    let mut all: Vec<Item> = vec![y.into()];
    for result in [1, 2] {
        let value = c.reshape(results[result], &kept)?;
        all.push(value.into());
    }
    Ok(all)
}

fn rms_norm(c: &mut Call<'_, '_>) -> Lowered {
    let (given, scale) = (c.x(0)?, c.x(1)?);
    let outer = c.dtype(given)?;
    let x = stash(c, given)?;
    let dtype = c.dtype(x)?;
    let dims = c.dims(x)?;
    let axis = c.axis(c.int_or("axis", -1), dims.len())?;
    let scale = trailing(c, scale, &dims[axis..], dtype)?;
    let eps = epsilon(c, x)?;
    let attrs = Attrs::new().with("axes", (dims.len() - axis) as i64);
    let y = c.with("rms_norm", &[x, scale, eps], attrs)?;
    one(c.cast(y, outer)?)
}

/// Each element by what its neighbours among the channels come to.
fn lrn(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    let size = c.int_or("size", 1);
    let channels = dims.get(1).ok_or("takes [n, c, ...]")?.clone();
    if !(1..=4096).contains(&size) {
        return Err(format!("`size` is {size}").into());
    }
    let squares = c.mul(x, x)?;
    let low = (size - 1) / 2;
    let (mut before, mut after) = (vec![0; dims.len()], vec![0; dims.len()]);
    before[1] = low;
    after[1] = size - 1 - low;
    let zero = c.number(x, 0.0)?;
    let padded = super::slice::border(c, squares, zero, &before, &after, "constant")?;
    let channels = channels.known().ok_or("the channels have to be known")? as i64;
    let mut sum = c.slice(padded, 1, 0, channels)?;
    for start in 1..size {
        let part = c.slice(padded, 1, start, start + channels)?;
        sum = c.add(sum, part)?;
    }
    let alpha = c.float_or("alpha", f64::from(1e-4f32));
    let scaled = c.by("mul", sum, alpha / size as f64)?;
    let moved = c.by("add", scaled, c.float_or("bias", 1.0))?;
    let power = c.by("pow", moved, c.float_or("beta", 0.75))?;
    one(c.div(x, power)?)
}
