//! Between floats and the integers that stand for them.

use syncarp_ir::{DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("QuantizeLinear", |c| {
        let (x, scale, zero) = (c.x(0)?, c.x(1)?, c.x_opt(2)?);
        let to = match (zero, c.dtype_attr("output_dtype")?) {
            (Some(zero), _) => c.dtype(zero)?,
            (None, Some(dtype)) => dtype,
            (None, None) => DType::U8,
        };
        let scale = along(c, scale, x)?;
        let zero = zero.map(|zero| along(c, zero, x)).transpose()?;
        one(quantize(c, x, scale, zero, to)?)
    }),
    Op::new("DequantizeLinear", |c| {
        let (x, scale, zero) = (c.x(0)?, c.x(1)?, c.x_opt(2)?);
        let to = c.dtype_attr("output_dtype")?.unwrap_or(c.dtype(scale)?);
        let scale = along(c, scale, x)?;
        let zero = zero.map(|zero| along(c, zero, x)).transpose()?;
        let number = centred_in(c, x, zero, DType::F32)?;
        let scale = c.cast(scale, DType::F32)?;
        let y = c.mul(number, scale)?;
        one(c.cast(y, to)?)
    }),
    Op::new("DynamicQuantizeLinear", dynamic),
    Op::new("QLinearMatMul", |c| {
        let mut operands = Vec::new();
        for index in 0..8 {
            operands.push(c.x(index)?);
        }
        let [a, scale_a, zero_a, b, scale_b, zero_b, scale_y, zero_y] = operands[..] else {
            return Err("takes 8 operands".into());
        };
        let row = |c: &mut Call<'_, '_>, value: Value| -> Result<Value, Miss> {
            // One for each row of a.
            match c.rank(value)? == 1 && c.dims(value)?[0] != Dim::Known(1) {
                true => c.unsqueeze(value, &[-1]),
                false => Ok(value),
            }
        };
        let (scale_a, zero_a) = (row(c, scale_a)?, row(c, zero_a)?);
        let a = centred(c, a, Some(zero_a))?;
        let b = centred(c, b, Some(zero_b))?;
        let product = c.emit("matmul", &[a, b])?;
        let (scale_a, scale_b) = (c.cast(scale_a, DType::F64)?, c.cast(scale_b, DType::F64)?);
        let scaled = c.mul(product, scale_a)?;
        let scaled = c.mul(scaled, scale_b)?;
        let to = c.dtype(zero_y)?;
        one(quantize(c, scaled, scale_y, Some(zero_y), to)?)
    }),
    Op::new("QLinearConv", |c| {
        let mut operands = Vec::new();
        for index in 0..8 {
            operands.push(c.x(index)?);
        }
        let [x, scale_x, zero_x, w, scale_w, zero_w, scale_y, zero_y] = operands[..] else {
            return Err("takes 8 operands".into());
        };
        let bias = c.x_opt(8)?;
        let x = centred(c, x, Some(zero_x))?;
        let zero_w = super::conv::column(c, zero_w, w)?;
        let weight = centred(c, w, Some(zero_w))?;
        let bias = bias.map(|bias| c.cast(bias, DType::F64)).transpose()?;
        let y = super::conv::conv(c, x, weight, bias)?;
        let (scale_x, scale_w) = (c.cast(scale_x, DType::F64)?, c.cast(scale_w, DType::F64)?);
        // A scale for each channel of the result.
        let scale_w = match c.rank(scale_w)? {
            1 => {
                let mut dims = c.dims(scale_w)?;
                dims.resize(c.rank(y)? - 1, Dim::Known(1));
                c.reshape(scale_w, &dims)?
            }
            _ => scale_w,
        };
        let y = c.mul(y, scale_x)?;
        let y = c.mul(y, scale_w)?;
        let to = c.dtype(zero_y)?;
        one(quantize(c, y, scale_y, Some(zero_y), to)?)
    }),
];

/// Integers as floats, exactly, with what stands for zero taken away.
pub(super) fn centred(c: &mut Call<'_, '_>, x: Value, zero: Option<Value>) -> Result<Value, Miss> {
    centred_in(c, x, zero, DType::F64)
}

fn centred_in(
    c: &mut Call<'_, '_>,
    x: Value,
    zero: Option<Value>,
    dtype: DType,
) -> Result<Value, Miss> {
    let x = c.cast(x, dtype)?;
    match zero {
        None => Ok(x),
        Some(zero) => {
            let zero = c.cast(zero, dtype)?;
            c.sub(x, zero)
        }
    }
}

/// A scale as it broadcasts: one number, one for each place of `axis`, or one for each block of it.
fn along(c: &mut Call<'_, '_>, scale: Value, x: Value) -> Result<Value, Miss> {
    let (own, dims) = (c.dims(scale)?, c.dims(x)?);
    match own.len() {
        0 => Ok(scale),
        1 if own[0] == Dim::Known(1) => c.reshape(scale, &[]),
        1 => {
            let axis = c.axis(c.int_or("axis", 1), dims.len())?;
            let mut column = vec![Dim::Known(1); dims.len()];
            column[axis] = own[0].clone();
            c.reshape(scale, &column)
        }
        _ => {
            let axis = c.axis(c.int_or("axis", 1), dims.len())?;
            let block = u64::try_from(c.int_or("block_size", 0)).unwrap_or(0);
            if block == 0 {
                return Ok(scale);
            }
            let mut parts = own.clone();
            parts.insert(axis + 1, Dim::Known(1));
            let mut wide = parts.clone();
            wide[axis + 1] = Dim::Known(block);
            let mut whole = own;
            whole[axis] = whole[axis]
                .times(&Dim::Known(block))
                .ok_or("blocks are too large")?;
            let scale = c.reshape(scale, &parts)?;
            let scale = c.expand(scale, &wide)?;
            let scale = c.reshape(scale, &whole)?;
            // The last block may be cut.
            match (dims[axis].known(), whole[axis].known()) {
                (Some(size), Some(long)) if size < long => c.slice(scale, axis, 0, size as i64),
                _ => Ok(scale),
            }
        }
    }
}

/// The least and the greatest number of an integer type.
fn bounds(dtype: DType) -> Result<(f64, f64), Miss> {
    Ok(match dtype {
        DType::U8 => (0.0, 255.0),
        DType::I8 => (-128.0, 127.0),
        DType::U16 => (0.0, 65_535.0),
        DType::I16 => (-32_768.0, 32_767.0),
        DType::I32 => (-2_147_483_648.0, 2_147_483_647.0),
        DType::U32 => (0.0, 4_294_967_295.0),
        other => return Err(format!("quantizing to {other} is not supported").into()),
    })
}

fn quantize(
    c: &mut Call<'_, '_>,
    x: Value,
    scale: Value,
    zero: Option<Value>,
    to: DType,
) -> Result<Value, Miss> {
    let (low, high) = bounds(to)?;
    let wide = match c.dtype(x)? {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let (x, scale) = (c.cast(x, wide)?, c.cast(scale, wide)?);
    let steps = c.div(x, scale)?;
    let mut steps = c.emit("round", &[steps])?;
    if let Some(zero) = zero {
        let zero = c.cast(zero, wide)?;
        steps = c.add(steps, zero)?;
    }
    let (low, high) = (c.number(steps, low)?, c.number(steps, high)?);
    let steps = c.emit("clamp", &[steps, low, high])?;
    c.cast(steps, to)
}

/// Scale and zero from the operand's own range.
fn dynamic(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let zero = c.number(x, 0.0)?;
    let high = c.emit("reduce_max", &[x])?;
    let high = c.emit("maximum", &[high, zero])?;
    let low = c.emit("reduce_min", &[x])?;
    let low = c.emit("minimum", &[low, zero])?;
    let span = c.sub(high, low)?;
    let scale = c.by("div", span, 255.0)?;
    let at = c.div(low, scale)?;
    let at = c.emit("neg", &[at])?;
    let at = c.emit("round", &[at])?;
    let top = c.number(x, 255.0)?;
    let at = c.emit("clamp", &[at, zero, top])?;
    let point = c.cast(at, DType::U8)?;
    let y = quantize(c, x, scale, Some(point), DType::U8)?;
    Ok(vec![y.into(), scale.into(), point.into()])
}
