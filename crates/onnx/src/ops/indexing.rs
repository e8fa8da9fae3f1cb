//! Elements by their places.

use syncarp_ir::{Attrs, DType, Dim};

use super::Op;
use crate::call::{Call, Lowered, one};
use crate::item::Item;
use crate::known::{self, Elements, Known, Num};

pub(super) const OPS: &[Op] = &[
    Op::new("Gather", gather).folds(|c, x| {
        let axis = c.axis(c.int_or("axis", 0), x.first()?.rank()).ok()?;
        known::gather(&x[0], x.get(1)?, axis)
    }),
    Op::new("GatherElements", |c| {
        let (x, index) = (c.x(0)?, c.x(1)?);
        let axis = c.axis(c.int_or("axis", 0), c.rank(x)?)? as i64;
        one(c.with(
            "gather_elements",
            &[x, index],
            Attrs::new().with("axis", axis),
        )?)
    }),
    Op::new("GatherND", |c| {
        let (x, index) = (c.x(0)?, c.x(1)?);
        let batch = c.int_or("batch_dims", 0);
        one(c.with(
            "gather_nd",
            &[x, index],
            Attrs::new().with("batch_dims", batch),
        )?)
    }),
    Op::new("Scatter", scatter_elements),
    Op::new("ScatterElements", scatter_elements),
    Op::new("ScatterND", |c| {
        let (x, index, updates) = (c.x(0)?, c.x(1)?, c.x(2)?);
        let attrs = Attrs::new().with("reduction", c.str_or("reduction", "none")?);
        one(c.with("scatter_nd", &[x, index, updates], attrs)?)
    }),
    Op::new("TopK", top_k),
    Op::new("OneHot", one_hot),
    Op::new("Hardmax", hardmax),
    Op::new("ReverseSequence", |c| {
        let (x, lengths) = (c.x(0)?, c.x(1)?);
        let rank = c.rank(x)?;
        let time = c.axis(c.int_or("time_axis", 0), rank)? as i64;
        let batch = c.axis(c.int_or("batch_axis", 1), rank)? as i64;
        let attrs = Attrs::new()
            .with("time_axis", time)
            .with("batch_axis", batch);
        one(c.with("reverse_sequence", &[x, lengths], attrs)?)
    }),
    Op::new("Compress", compress),
    Op::new("NonZero", |c| {
        c.must_know(0)
            .and_then(|_| Err("its shape depends on numbers that are not known".into()))
    })
    .folds(|_, x| non_zero(&x[0])),
    Op::new("TensorScatter", tensor_scatter),
];

/// One place that is known is a slice.
fn gather(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let axis = c.axis(c.int_or("axis", 0), c.rank(x)?)?;
    let index = c.foldable(1).filter(|index| index.rank() == 0);
    if let Some(at) = index
        .and_then(|index| index.ints())
        .and_then(|items| items.first().copied())
    {
        let attrs = Attrs::new().with("axis", axis as i64).with("start", at);
        let attrs = if at == -1 {
            attrs
        } else {
            attrs.with("end", at.saturating_add(1))
        };
        let part = c.with("slice", &[x], attrs)?;
        if c.dims(part)?[axis] == Dim::Known(1) {
            return one(c.squeeze(part, &[axis as i64])?);
        }
    }
    let index = c.x(1)?;
    one(c.with(
        "gather",
        &[x, index],
        Attrs::new().with("axis", axis as i64),
    )?)
}

fn scatter_elements(c: &mut Call<'_, '_>) -> Lowered {
    let (x, index, updates) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let axis = c.axis(c.int_or("axis", 0), c.rank(x)?)? as i64;
    let attrs = Attrs::new().with("axis", axis);
    let attrs = attrs.with("reduction", c.str_or("reduction", "none")?);
    one(c.with("scatter_elements", &[x, index, updates], attrs)?)
}

fn top_k(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let k = match c.version < 10 {
        true => c.int_attr("k").ok_or("`k` is missing")?,
        false => c.int(1)?,
    };
    let axis = c.axis(c.int_or("axis", -1), c.rank(x)?)? as i64;
    let attrs = Attrs::new()
        .with("k", k)
        .with("axis", axis)
        .with("largest", c.int_or("largest", 1) != 0)
        .with("sorted", c.int_or("sorted", 1) != 0);
    let results = c.emit_all("top_k", &[x], attrs)?;
    Ok(results.into_iter().map(Item::from).collect())
}

fn one_hot(c: &mut Call<'_, '_>) -> Lowered {
    let (index, values) = (c.x(0)?, c.x(2)?);
    let depth = c.floats(1)?;
    let depth = depth.first().copied().ok_or("the depth is one number")? as i64;
    // Places may come as floats.
    let index = match c.dtype(index)?.is_float() {
        true => c.cast(index, DType::I64)?,
        false => index,
    };
    let rank = c.rank(index)?;
    let axis = c.axis(c.int_or("axis", -1), rank + 1)?;
    // Negative places count from the end.
    let index = c.cast(index, DType::I64)?;
    let below = c.by("lt", index, 0.0)?;
    let moved = c.by("add", index, depth as f64)?;
    let index = c.select(below, moved, index)?;
    let off = c.slice(values, 0, 0, 1)?;
    let off = c.reshape(off, &[])?;
    let on = c.slice(values, 0, 1, 2)?;
    let on = c.reshape(on, &[])?;
    let attrs = Attrs::new().with("depth", depth).with("axis", axis as i64);
    one(c.with("one_hot", &[index, on, off], attrs)?)
}

/// One at the first of the largest elements; before version 13 of all dims from `axis` on.
fn hardmax(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    let dtype = c.dtype(x)?;
    let coerced = c.version < 13;
    let axis = c.axis(c.int_or("axis", if coerced { 1 } else { -1 }), dims.len())?;
    let (flat, axis) = match coerced {
        true => (super::shape::flatten(c, x, axis)?, 1),
        false => (x, axis),
    };
    let attrs = Attrs::new().with("axis", axis as i64).with("keep", true);
    let most = c.with("argmax", &[flat], attrs)?;
    let shape = c.dims(flat)?;
    let places = c.iota(DType::I64, &shape, axis)?;
    let hit = c.emit("eq", &[places, most])?;
    let hit = c.cast(hit, dtype)?;
    one(c.reshape(hit, &dims)?)
}

/// Which parts are taken has to be known, since the shape depends on it.
fn compress(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    let takes = c.ints(1)?;
    let (x, axis) = match c.int_attr("axis") {
        Some(axis) => (x, c.axis(axis, dims.len())?),
        None => {
            let flat = super::shape::product(&dims)?;
            (c.reshape(x, &[flat])?, 0)
        }
    };
    let size = c.dims(x)?[axis].known().unwrap_or(u64::MAX);
    let taken = takes.iter().enumerate().filter(|(_, take)| **take != 0);
    let places: Vec<f64> = taken.map(|(at, _)| at as f64).collect();
    if places.last().is_some_and(|last| *last >= size as f64) {
        return Err("takes more than there is".into());
    }
    let count = places.len() as u64;
    let index = c.listed(DType::I64, places, &[count])?;
    one(c.with(
        "gather",
        &[x, index],
        Attrs::new().with("axis", axis as i64),
    )?)
}

fn non_zero(x: &Known) -> Option<Known> {
    let nonzero: Vec<bool> = x.floats()?.into_iter().map(|item| item != 0.0).collect();
    let strides = known::strides(&x.dims);
    let places: Vec<usize> = (0..nonzero.len()).filter(|at| nonzero[*at]).collect();
    let mut items = Vec::with_capacity(places.len() * x.rank());
    for (stride, dim) in strides.iter().zip(&x.dims) {
        let along = places
            .iter()
            .map(|at| Num::Int((at / stride % *dim as usize) as i64));
        items.extend(along);
    }
    let dims = vec![x.rank() as u64, places.len() as u64];
    Some(Known::new(DType::I64, dims, Elements::Ints(items)))
}

/// New rows of a cache: row `index + i` of each sample, or modulo the cache's length.
fn tensor_scatter(c: &mut Call<'_, '_>) -> Lowered {
    let (cache, update) = (c.x(0)?, c.x(1)?);
    let (dims, new) = (c.dims(cache)?, c.dims(update)?);
    let axis = c.axis(c.int_or("axis", -2), dims.len())?;
    if axis == 0 || new.len() != dims.len() {
        return Err("`axis` is none of the batch".into());
    }
    let mut places = c.iota(DType::I64, &new, axis)?;
    if let Some(start) = c.x_opt(2)? {
        let start = c.cast(start, DType::I64)?;
        let mut column = vec![Dim::Known(1); dims.len()];
        column[0] = dims[0].clone();
        let start = c.reshape(start, &column)?;
        places = c.add(places, start)?;
    }
    if c.str_or("mode", "linear")? == "circular" {
        let length = dims[axis]
            .known()
            .ok_or("the cache's length has to be known")?;
        places = c.by("remainder", places, length as f64)?;
    }
    let attrs = Attrs::new()
        .with("axis", axis as i64)
        .with("reduction", "none");
    one(c.with("scatter_elements", &[cache, places, update], attrs)?)
}
