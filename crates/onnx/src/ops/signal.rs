//! Windows and spectra.

use std::f64::consts::PI;

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("HannWindow", |c| window(c, |at| (PI * at).sin().powi(2))),
    Op::new("HammingWindow", |c| {
        window(c, |at| 25.0 / 46.0 - 21.0 / 46.0 * (2.0 * PI * at).cos())
    }),
    Op::new("BlackmanWindow", |c| {
        window(c, |at| {
            0.42 - 0.5 * (2.0 * PI * at).cos() + 0.08 * (4.0 * PI * at).cos()
        })
    }),
    Op::new("MelWeightMatrix", mel),
    Op::new("DFT", |c| {
        let x = c.x(0)?;
        let dims = c.dims(x)?;
        let axis = match c.version < 20 {
            true => c.int_or("axis", 1),
            false if c.has(2) => c.int(2)?,
            false => -2,
        };
        let axis = c.axis(axis, dims.len())?;
        let length = if c.has(1) { Some(c.int(1)?) } else { None };
        one(dft(
            c,
            x,
            axis,
            length,
            c.flag("inverse"),
            c.flag("onesided"),
        )?)
    }),
    Op::new("STFT", stft),
];

/// The most elements that are computed here and written into the graph.
const MOST: i64 = 1 << 20;

fn window(c: &mut Call<'_, '_>, of: fn(f64) -> f64) -> Lowered {
    let size = c.int(0)?;
    if !(0..=MOST).contains(&size) {
        return Err(format!("a window has a size, not {size}").into());
    }
    let dtype = c.dtype_attr("output_datatype")?.unwrap_or(DType::F32);
    let over = if c.int_or("periodic", 1) != 0 {
        size
    } else {
        size - 1
    };
    let items = (0..size)
        .map(|at| of(at as f64 / over.max(1) as f64))
        .collect();
    one(c.listed(dtype, items, &[size as u64])?)
}

/// Triangles over the bins of a spectrum, even on the mel scale.
fn mel(c: &mut Call<'_, '_>) -> Lowered {
    let (bins, length, rate) = (c.int(0)?, c.int(1)?, c.int(2)?);
    let (low, high) = (c.float(3)?, c.float(4)?);
    let spectrum = length / 2 + 1;
    let fits = bins >= 0 && length >= 0 && rate > 0;
    if !fits || bins.checked_mul(spectrum).is_none_or(|count| count > MOST) {
        return Err("the matrix is too large".into());
    }
    let to_mel = |hertz: f64| 2595.0 * (hertz / 700.0).ln_1p() / std::f64::consts::LN_10;
    let (low, high) = (to_mel(low), to_mel(high));
    let step = (high - low) / (bins + 2) as f64;
    let place = |at: i64| {
        let hertz = 700.0 * ((low + at as f64 * step) / 2595.0 * std::f64::consts::LN_10).exp_m1();
        ((length + 1) as f64 * hertz / rate as f64).floor() as i64
    };
    let mut items = vec![0.0; (spectrum * bins) as usize];
    let mut put = |row: i64, column: i64, value: f64| -> Result<(), Miss> {
        let fits = (0..spectrum).contains(&row);
        let at = fits.then_some((row * bins + column) as usize);
        items[at.ok_or("the edges lie outside the spectrum")?] = value;
        Ok(())
    };
    for column in 0..bins {
        let (left, centre, right) = (place(column), place(column + 1), place(column + 2));
        if left == centre {
            put(centre, column, 1.0)?;
        } else {
            for row in left..=centre {
                put(row, column, (row - left) as f64 / (centre - left) as f64)?;
            }
        }
        for row in centre..right {
            put(row, column, (right - row) as f64 / (right - centre) as f64)?;
        }
    }
    let dtype = c.dtype_attr("output_datatype")?.unwrap_or(DType::F32);
    one(c.listed(dtype, items, &[spectrum as u64, bins as u64])?)
}

/// The cosines and sines of `2 pi i j / n`, [rows, columns].
fn circle(
    c: &mut Call<'_, '_>,
    dtype: DType,
    rows: i64,
    columns: i64,
    n: i64,
) -> Result<(Value, Value), Miss> {
    let dims = [Dim::Known(rows as u64), Dim::Known(columns as u64)];
    let (i, j) = (c.iota(DType::I64, &dims, 0)?, c.iota(DType::I64, &dims, 1)?);
    let product = c.mul(i, j)?;
    // Angles below a full turn are the exact ones.
    let turn = c.by("remainder", product, n as f64)?;
    let turn = c.cast(turn, dtype)?;
    let angle = c.by("mul", turn, 2.0 * PI / n as f64)?;
    Ok((c.emit("cos", &[angle])?, c.emit("sin", &[angle])?))
}

/// A discrete Fourier transform of x [..., length, ..., 1 or 2] as products with matrices.
fn dft(
    c: &mut Call<'_, '_>,
    x: Value,
    axis: usize,
    length: Option<i64>,
    inverse: bool,
    one_sided: bool,
) -> Result<Value, Miss> {
    let rank = c.rank(x)?;
    let sizes = c.dims(x)?;
    let last = rank - 1;
    if rank < 2 || axis == last {
        return Err("the last dim holds real and imaginary parts".into());
    }
    let own = sizes[axis]
        .known()
        .ok_or("the length of the signal has to be known")? as i64;
    let complex = sizes[last] == Dim::Known(2);
    let n = length.unwrap_or(if inverse && one_sided {
        2 * (own - 1)
    } else {
        own
    });
    if !(1..=1 << 16).contains(&n) {
        return Err(format!("the transform has a length of {n}").into());
    }
    let dtype = c.dtype(x)?;
    // So many elements go in.
    let takes = if inverse && one_sided { n / 2 + 1 } else { n };
    let mut pads = vec![0; rank];
    pads[axis] = takes - own;
    let zero = c.number(x, 0.0)?;
    let x = super::slice::border(c, x, zero, &vec![0; rank], &pads, "constant")?;
    // The parts as [..., length], the signal's axis last.
    let mut part = |which: i64| -> Result<Value, Miss> {
        let part = c.slice(x, last, which, which + 1)?;
        let part = c.squeeze(part, &[last as i64])?;
        c.swap(part, axis, last - 1)
    };
    let real = part(0)?;
    let imaginary = if complex { Some(part(1)?) } else { None };
    let gives = if one_sided && !inverse { n / 2 + 1 } else { n };
    let (cos, sin) = circle(c, dtype, takes, gives, n)?;
    let mut results = Vec::new();
    if inverse && one_sided {
        // What is left out are conjugates of what is there.
        let twice = |k: i64| if k == 0 || 2 * k == n { 1.0 } else { 2.0 };
        let shares: Vec<f64> = (0..takes).map(twice).collect();
        let shares = c.listed(dtype, shares, &[takes as u64])?;
        let real = c.mul(real, shares)?;
        let mut sum = c.emit("matmul", &[real, cos])?;
        if let Some(imaginary) = imaginary {
            let imaginary = c.mul(imaginary, shares)?;
            let other = c.emit("matmul", &[imaginary, sin])?;
            sum = c.sub(sum, other)?;
        }
        results.push(sum);
    } else {
        // e^(-i a) forward, e^(i a) back.
        let real_cos = c.emit("matmul", &[real, cos])?;
        let real_sin = c.emit("matmul", &[real, sin])?;
        let real_sin = if inverse {
            real_sin
        } else {
            c.emit("neg", &[real_sin])?
        };
        match imaginary {
            None => results.extend([real_cos, real_sin]),
            Some(imaginary) => {
                let cosines = c.emit("matmul", &[imaginary, cos])?;
                let sines = c.emit("matmul", &[imaginary, sin])?;
                let first = match inverse {
                    true => c.sub(real_cos, sines)?,
                    false => c.add(real_cos, sines)?,
                };
                results.extend([first, c.add(cosines, real_sin)?]);
            }
        }
    }
    let mut parts = Vec::new();
    for part in results {
        let part = if inverse {
            c.by("div", part, n as f64)?
        } else {
            part
        };
        let part = c.swap(part, axis, last - 1)?;
        parts.push(c.unsqueeze(part, &[last as i64])?);
    }
    c.concat(&parts, last)
}

/// Transforms of frames of a signal [n, length, 1 or 2].
fn stft(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let step = c.int(1)?;
    let window = c.x_opt(2)?;
    let dims = c.dims(x)?;
    let [_, total, _] = &dims[..] else {
        return Err("takes a signal [n, length, 1 or 2]".into());
    };
    let total = total
        .known()
        .ok_or("the length of the signal has to be known")? as i64;
    let length = match (c.has(3), window) {
        (true, _) => c.int(3)?,
        (false, Some(window)) => c.sizes(window)?.first().map_or(0, |size| *size as i64),
        (false, None) => return Err("has neither a window nor a frame's length".into()),
    };
    if step < 1 || length < 1 || length > total {
        return Err(format!("frames of {length} every {step} of {total}").into());
    }
    let frames = (total - length) / step + 1;
    let plane = [Dim::Known(frames as u64), Dim::Known(length as u64)];
    let (rows, columns) = (
        c.iota(DType::I64, &plane, 0)?,
        c.iota(DType::I64, &plane, 1)?,
    );
    let rows = c.by("mul", rows, step as f64)?;
    let places = c.add(rows, columns)?;
    let mut cut = c.with("gather", &[x, places], Attrs::new().with("axis", 1i64))?;
    if let Some(window) = window {
        let column = c.unsqueeze(window, &[-1])?;
        cut = c.mul(cut, column)?;
    }
    let one_sided = c.int_or("onesided", 1) != 0;
    one(dft(c, cut, 2, None, false, one_sided)?)
}
