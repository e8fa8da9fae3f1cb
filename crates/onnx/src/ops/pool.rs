//! Pools over windows, and over all there is.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use super::window::Windows;
use crate::call::{Call, Lowered, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("MaxPool", max_pool),
    Op::new("AveragePool", average_pool),
    Op::new("LpPool", lp_pool),
    Op::new("GlobalAveragePool", |c| {
        global(c, |c, x, axes| c.reduce("mean", x, axes, true))
    }),
    Op::new("GlobalMaxPool", |c| {
        global(c, |c, x, axes| c.reduce("reduce_max", x, axes, true))
    }),
    Op::new("GlobalLpPool", |c| {
        global(c, |c, x, axes| {
            let p = c.int_or("p", 2) as f64;
            let x = c.emit("abs", &[x])?;
            let x = c.by("pow", x, p)?;
            let sum = c.reduce("sum", x, axes, true)?;
            c.by("pow", sum, 1.0 / p)
        })
    }),
    Op::new("MaxUnpool", max_unpool),
];

type Reduce = fn(&mut Call<'_, '_>, Value, &[i64]) -> Result<Value, Miss>;

fn global(c: &mut Call<'_, '_>, with: Reduce) -> Lowered {
    let x = c.x(0)?;
    let axes: Vec<i64> = (2..c.rank(x)? as i64).collect();
    one(with(c, x, &axes)?)
}

/// Pads as far as the pools of the IR cannot: more on one side, or more than half a window.
fn fit(
    c: &mut Call<'_, '_>,
    windows: &mut Windows,
    x: Value,
    number: f64,
) -> Result<(Value, bool), Miss> {
    let within = |axis: usize| windows.low[axis] <= windows.kernel[axis] / 2;
    match windows.is_symmetric() && (0..windows.count()).all(within) {
        true => Ok((x, false)),
        false => Ok((windows.pad(c, x, number)?, true)),
    }
}

fn attrs(windows: &Windows) -> Attrs {
    // A pool's stride is the window by default in the IR, so it is always said.
    let mut attrs = windows.conv_attrs(1).with("kernel", windows.kernel.clone());
    attrs.set("stride", windows.stride.clone());
    if windows.ceil {
        attrs.set("ceil_mode", true);
    }
    attrs
}

/// The largest elements, and where they are in the whole operand.
fn max_pool(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dtype = c.dtype(x)?;
    let dims = c.dims(x)?;
    let mut windows = Windows::read(c, x, None)?;
    let count = windows.count();
    let (low, _) = (windows.low.clone(), windows.high.clone());
    // Integers of up to 32 bits are floats for a moment.
    let wide = if dtype.is_float() {
        x
    } else {
        c.cast(x, DType::F64)?
    };
    let (padded, moved) = fit(c, &mut windows, wide, f64::NEG_INFINITY)?;
    let op = ["max_pool1d", "max_pool2d", "max_pool3d"][count - 1];
    let results = c.emit_all(op, &[padded], attrs(&windows))?;
    let y = c.cast(results[0], dtype)?;
    if !c.asks(1) {
        return one(y);
    }
    let index = match results.get(1) {
        Some(index) => *index,
        None => return Err("the places of the largest elements are not known here".into()),
    };
    let index = places(c, index, padded, &dims, &low, moved)?;
    Ok(vec![y.into(), index.into()])
}

/// From places within a plane, which may be padded, to places in the whole tensor.
fn places(
    c: &mut Call<'_, '_>,
    index: Value,
    padded: Value,
    dims: &[Dim],
    low: &[i64],
    moved: bool,
) -> Result<Value, Miss> {
    let columns_first = c.flag("storage_order");
    let sizes: Option<Vec<u64>> = dims[2..].iter().map(Dim::known).collect();
    let sizes = sizes.ok_or("the places of the largest elements need known sizes")?;
    let plane: u64 = sizes.iter().product();
    let mut within = index;
    if moved || columns_first {
        let wide = c.sizes(padded);
        let wide = match wide {
            Ok(wide) => wide[2..].to_vec(),
            Err(_) => {
                let dims = c.dims(padded)?;
                dims[2..]
                    .iter()
                    .map(|dim| dim.known().unwrap_or(1))
                    .collect()
            }
        };
        // Coordinates along each dim, then put together again.
        let mut rest = index;
        let mut along = Vec::new();
        for axis in (0..sizes.len()).rev() {
            let at = c.by("remainder", rest, wide[axis] as f64)?;
            rest = c.by("div", rest, wide[axis] as f64)?;
            along.push(c.by("sub", at, low[axis] as f64 * f64::from(u8::from(moved)))?);
        }
        along.reverse();
        let order: Vec<usize> = match columns_first {
            true => (0..sizes.len()).rev().collect(),
            false => (0..sizes.len()).collect(),
        };
        let mut sum = along[order[0]];
        for axis in &order[1..] {
            let scaled = c.by("mul", sum, sizes[*axis] as f64)?;
            sum = c.add(scaled, along[*axis])?;
        }
        within = sum;
    }
    let shape = c.dims(index)?;
    let samples = c.iota(DType::I64, &shape, 0)?;
    let channels = c.iota(DType::I64, &shape, 1)?;
    let count = dims[1].known().ok_or("the channels have to be known")?;
    let before = c.by("mul", samples, count as f64)?;
    let before = c.add(before, channels)?;
    let before = c.by("mul", before, plane as f64)?;
    c.add(before, within)
}

/// Where padding does not count but is larger than the IR's pools take, both the sum and the count
/// are averaged.
fn average_pool(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let mut windows = Windows::read(c, x, None)?;
    let counts = c.flag("count_include_pad");
    let op = ["avg_pool1d", "avg_pool2d", "avg_pool3d"][windows.count() - 1];
    let low = windows.low.clone();
    let (padded, moved) = fit(c, &mut windows, x, 0.0)?;
    let whole = attrs(&windows);
    if !moved {
        let none = low.iter().all(|pad| *pad == 0);
        let attrs = if none && !windows.ceil || counts {
            whole
        } else {
            whole.with("count_include_pad", false)
        };
        return one(c.with(op, &[padded], attrs)?);
    }
    let mean = c.with(op, &[padded], whole.clone())?;
    if counts {
        return one(mean);
    }
    // The share of each window that lies inside: one plane of ones for all.
    let mut again = Windows::read(c, x, None)?;
    let dtype = c.dtype(x)?;
    let mut plane = c.dims(x)?;
    plane[0] = Dim::Known(1);
    plane[1] = Dim::Known(1);
    let ones = c.filled(dtype, 1.0, &plane)?;
    let ones = again.pad(c, ones, 0.0)?;
    let share = c.with(op, &[ones], whole)?;
    one(c.div(mean, share)?)
}

/// The norm of each window: padding is zero and counts for nothing.
fn lp_pool(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let mut windows = Windows::read(c, x, None)?;
    let p = c.int_or("p", 2) as f64;
    if windows.ceil {
        // So much that the last window is whole.
        let sizes = c.sizes(x)?;
        for axis in 0..windows.count() {
            let size = sizes[axis + 2] as i64 + windows.low[axis] + windows.high[axis];
            let stride = windows.stride[axis];
            let over = (size - windows.reach(axis)).rem_euclid(stride);
            let begins = size - over;
            let last_begins = begins - windows.reach(axis) + stride;
            if over != 0 && last_begins < sizes[axis + 2] as i64 + windows.low[axis] {
                windows.high[axis] += stride - over;
            }
        }
        windows.ceil = false;
    }
    let x = c.emit("abs", &[x])?;
    let x = if p == 1.0 { x } else { c.by("pow", x, p)? };
    let x = windows.pad(c, x, 0.0)?;
    let op = ["avg_pool1d", "avg_pool2d", "avg_pool3d"][windows.count() - 1];
    let mean = c.with(op, &[x], attrs(&windows))?;
    let count: i64 = windows.kernel.iter().product();
    let sum = c.by("mul", mean, count as f64)?;
    one(if p == 1.0 {
        sum
    } else {
        c.by("pow", sum, 1.0 / p)?
    })
}

/// Elements put back to where a pool took them from. Places are of the whole tensor.
fn max_unpool(c: &mut Call<'_, '_>) -> Lowered {
    let (x, index) = (c.x(0)?, c.x(1)?);
    let sizes = c.sizes(x)?;
    let windows = Windows::read(c, x, None)?;
    let of = |axis: usize| {
        let size = sizes[axis + 2] as i64;
        (size - 1).saturating_mul(windows.stride[axis]) + windows.kernel[axis]
            - windows.low[axis]
            - windows.high[axis]
    };
    let inferred: Vec<i64> = (0..windows.count()).map(of).collect();
    let lead = [sizes[0], sizes[1]];
    let inferred: Vec<u64> = lead
        .into_iter()
        .chain(inferred.into_iter().map(|size| size.max(0) as u64))
        .collect();
    let wanted = match c.ints_opt(2)? {
        Some(shape) => shape.iter().map(|size| (*size).max(0) as u64).collect(),
        None => inferred.clone(),
    };
    // Places count in the shape that the windows give, whatever is asked for.
    let total = |dims: &[u64]| dims.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim));
    let (Some(inner), Some(count)) = (total(&inferred), total(&sizes)) else {
        return Err("there are too many elements".into());
    };
    let dtype = c.dtype(x)?;
    let zeros = c.filled(dtype, 0.0, &[Dim::Known(inner)])?;
    let flat = [Dim::Known(count)];
    let (x, index) = (c.reshape(x, &flat)?, c.reshape(index, &flat)?);
    let attrs = Attrs::new().with("axis", 0i64).with("reduction", "none");
    let put = c.with("scatter_elements", &[zeros, index, x], attrs)?;
    let dims: Vec<Dim> = inferred.iter().copied().map(Dim::Known).collect();
    let put = c.reshape(put, &dims)?;
    if wanted == inferred {
        return one(put);
    }
    if wanted.len() != inferred.len() {
        return Err("the output's shape has another rank".into());
    }
    let high: Vec<i64> = wanted
        .iter()
        .zip(&inferred)
        .map(|(w, i)| *w as i64 - *i as i64)
        .collect();
    let zero = c.number(put, 0.0)?;
    one(super::slice::border(
        c,
        put,
        zero,
        &vec![0; high.len()],
        &high,
        "constant",
    )?)
}
