//! Convolutions.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use super::window::Windows;
use crate::call::{Call, Lowered, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("Conv", |c| {
        let (x, weight, bias) = (c.x(0)?, c.x(1)?, c.x_opt(2)?);
        one(conv(c, x, weight, bias)?)
    }),
    Op::new("ConvTranspose", conv_transpose),
    Op::new("ConvInteger", |c| {
        let (x, weight) = (c.x(0)?, c.x(1)?);
        let (low_x, low_weight) = (c.x_opt(2)?, c.x_opt(3)?);
        let x = super::quantize::centred(c, x, low_x)?;
        let low_weight = match low_weight {
            Some(zero) => Some(column(c, zero, weight)?),
            None => None,
        };
        let weight = super::quantize::centred(c, weight, low_weight)?;
        let y = conv(c, x, weight, None)?;
        one(c.cast(y, DType::I32)?)
    }),
    Op::new("CausalConvWithState", causal_conv),
];

/// One number for each of the first dim, as a tensor that broadcasts to `like`.
pub(super) fn column(c: &mut Call<'_, '_>, x: Value, like: Value) -> Result<Value, Miss> {
    let (rank, dims) = (c.rank(like)?, c.dims(x)?);
    match dims.len() {
        1 => {
            let mut column = vec![Dim::Known(1); rank];
            column[0] = dims[0].clone();
            c.reshape(x, &column)
        }
        _ => Ok(x),
    }
}

fn groups(c: &Call<'_, '_>) -> Result<i64, Miss> {
    match c.int_or("group", 1) {
        groups @ 1.. => Ok(groups),
        other => Err(format!("`group` is {other}").into()),
    }
}

pub(super) fn conv(
    c: &mut Call<'_, '_>,
    x: Value,
    weight: Value,
    bias: Option<Value>,
) -> Result<Value, Miss> {
    let sizes = c.sizes(weight)?;
    let mut windows = Windows::read(c, x, Some(sizes.get(2..).unwrap_or_default()))?;
    let x = match windows.is_symmetric() {
        true => x,
        false => windows.pad(c, x, 0.0)?,
    };
    let attrs = windows.conv_attrs(groups(c)?);
    let operands: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
    let op = ["conv1d", "conv2d", "conv3d"][windows.count() - 1];
    c.with(op, &operands, attrs)
}

/// The whole of what the windows reach is computed, and what the padding says taken away from it.
fn conv_transpose(c: &mut Call<'_, '_>) -> Lowered {
    let (x, weight, bias) = (c.x(0)?, c.x(1)?, c.x_opt(2)?);
    let sizes = c.sizes(weight)?;
    let auto = c.str_or("auto_pad", "NOTSET")?;
    let mut windows = Windows::read(c, x, Some(sizes.get(2..).unwrap_or_default()))?;
    let count = windows.count();
    let mut extra = match c.ints_attr("output_padding") {
        Some(items) if items.len() == count => items.to_vec(),
        Some(items) if !items.is_empty() => {
            return Err(format!("`output_padding` is {items:?} for {count} dims").into());
        }
        _ => vec![0; count],
    };
    let same = matches!(auto, "SAME_UPPER" | "SAME_LOWER");
    let shape = c
        .ints_attr("output_shape")
        .filter(|shape| !shape.is_empty());
    if same || shape.is_some() {
        let spatial = c.sizes(x)?;
        for axis in 0..count {
            let size = spatial[axis + 2] as i64;
            let whole = windows.stride[axis]
                .saturating_mul(size - 1)
                .saturating_add(windows.reach(axis) + extra[axis]);
            let wanted = match shape {
                // It may name batch and channels, too.
                Some(shape) => *shape
                    .get(axis + shape.len().saturating_sub(count))
                    .ok_or("`output_shape` has too few sizes")?,
                None => size.saturating_mul(windows.stride[axis]),
            };
            let total = whole - wanted;
            if shape.is_none() && total < 0 {
                extra[axis] += -total;
                (windows.low[axis], windows.high[axis]) = (0, 0);
                continue;
            }
            let half = total / 2;
            (windows.low[axis], windows.high[axis]) = match auto {
                "SAME_UPPER" => (half, total - half),
                _ => (total - half, half),
            };
        }
    }
    let groups = groups(c)?;
    let op = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"][count - 1];
    let within =
        |axis: usize| (0..windows.stride[axis].max(windows.dilation[axis])).contains(&extra[axis]);
    let plain =
        windows.is_symmetric() && windows.low.iter().all(|pad| *pad >= 0) && (0..count).all(within);
    let operands: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
    if plain {
        let mut attrs = windows.conv_attrs(groups);
        if extra.iter().any(|pad| *pad != 0) {
            attrs.set("output_padding", extra);
        }
        return one(c.with(op, &operands, attrs)?);
    }
    let negative = |pads: &[i64]| pads.iter().map(|pad| -pad).collect::<Vec<i64>>();
    let low = [vec![0, 0], negative(&windows.low)].concat();
    let high = windows
        .high
        .iter()
        .zip(&extra)
        .map(|(high, extra)| extra - high);
    let high: Vec<i64> = [0, 0].into_iter().chain(high).collect();
    windows.low.fill(0);
    windows.high.fill(0);
    // The bias belongs to what lies outside all windows, too.
    let whole = c.with(op, &operands[..2], windows.conv_attrs(groups))?;
    let zero = c.number(whole, 0.0)?;
    let cut = super::slice::border(c, whole, zero, &low, &high, "constant")?;
    match bias {
        None => one(cut),
        Some(bias) => {
            let mut dims = c.dims(bias)?;
            dims.resize(count + 1, Dim::Known(1));
            let bias = c.reshape(bias, &dims)?;
            one(c.add(cut, bias)?)
        }
    }
}

/// A depthwise convolution over what came before, too: x [n, c, l] behind a state [n, c, k - 1].
fn causal_conv(c: &mut Call<'_, '_>) -> Lowered {
    let (x, weight, bias, past) = (c.x(0)?, c.x(1)?, c.x_opt(2)?, c.x_opt(3)?);
    let dims = c.dims(x)?;
    let sizes = c.sizes(weight)?;
    let (&[channels, _, kernel], [n, _, length]) = (&sizes[..], &dims[..]) else {
        return Err("takes x [n, c, l] and a weight [c, 1, k]".into());
    };
    let state = kernel.saturating_sub(1);
    let past = match past {
        Some(past) => past,
        None => {
            let dtype = c.dtype(x)?;
            c.filled(
                dtype,
                0.0,
                &[n.clone(), Dim::Known(channels), Dim::Known(state)],
            )?
        }
    };
    let long = c.concat(&[past, x], 2)?;
    let operands: Vec<Value> = [long, weight].into_iter().chain(bias).collect();
    let y = c.with(
        "conv1d",
        &operands,
        Attrs::new().with("groups", channels as i64),
    )?;
    let y = match c.str_or("activation", "none")? {
        "none" => y,
        "silu" | "swish" => c.emit("silu", &[y])?,
        other => return Err(format!("`activation` is `{other}`").into()),
    };
    let attrs = Attrs::new().with("axis", 2i64);
    let kept = match (state, length.known()) {
        (0, Some(length)) => c.slice(long, 2, length as i64, length as i64)?,
        (0, None) => return Err("a window of one element keeps no state".into()),
        (state, _) => c.with("slice", &[long], attrs.with("start", -(state as i64)))?,
    };
    Ok(vec![y.into(), kept.into()])
}
