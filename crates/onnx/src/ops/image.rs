//! Images and volumes in other sizes and places.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};

pub(super) const OPS: &[Op] = &[
    Op::new("Resize", resize),
    Op::new("Upsample", resize),
    Op::new("GridSample", |c| {
        let (x, grid) = (c.x(0)?, c.x(1)?);
        let mode = match c.str_or("mode", "linear")? {
            "bilinear" => "linear",
            "bicubic" => "cubic",
            mode => mode,
        };
        let attrs = Attrs::new()
            .with("mode", mode)
            .with("padding", c.str_or("padding_mode", "zeros")?)
            .with("align_corners", c.flag("align_corners"));
        one(c.with("grid_sample", &[x, grid], attrs)?)
    }),
    Op::new("AffineGrid", affine_grid),
    Op::new("RoiAlign", roi_align),
    Op::new("Col2Im", col2im),
];

/// To sizes, or by scales; in versions before 11 by scales alone, without half pixels.
fn resize(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    let rank = dims.len();
    let early = c.version < 11;
    let axes = match c.ints_attr("axes") {
        Some(axes) => c.axes(axes, rank)?,
        None => (0..rank).collect(),
    };
    let (scales, sizes) = match (c.node.op_type.as_str(), c.version) {
        ("Upsample", ..9) => (c.floats_attr("scales"), None),
        _ if early => (Some(c.floats(1)?), None),
        _ => {
            let scales = if c.has(2) { Some(c.floats(2)?) } else { None };
            let scales = scales.filter(|scales| !scales.is_empty());
            (scales, c.ints_opt(3)?.filter(|sizes| !sizes.is_empty()))
        }
    };
    let count = scales
        .as_ref()
        .map(Vec::len)
        .or(sizes.as_ref().map(Vec::len));
    if count != Some(axes.len()) {
        return Err(format!("has {count:?} scales or sizes for {} axes", axes.len()).into());
    }
    let mut changed: Vec<(usize, u64, f64)> = Vec::new();
    let known = |axis: usize| -> Result<u64, Miss> {
        let size = dims[axis].known().filter(|size| *size > 0);
        size.ok_or_else(|| "the sizes of what is resized have to be known".into())
    };
    match (scales, sizes) {
        (Some(scales), _) => {
            for (axis, scale) in axes.iter().zip(scales) {
                if scale == 1.0 {
                    continue;
                }
                let size = (known(*axis)? as f64 * scale).floor();
                if !(0.0..1e9).contains(&size) {
                    return Err(format!("a scale is {scale}").into());
                }
                changed.push((*axis, size as u64, scale));
            }
        }
        (None, Some(sizes)) => {
            let policy = c.str_or("keep_aspect_ratio_policy", "stretch")?;
            let mut scales = Vec::new();
            for (axis, size) in axes.iter().zip(&sizes) {
                // A size that stays may be one that is not known.
                let scale = match dims[*axis].known() {
                    Some(own) if own > 0 => *size as f64 / own as f64,
                    _ => return Err("the sizes of what is resized have to be known".into()),
                };
                scales.push(scale);
            }
            let all = match policy {
                "stretch" => None,
                "not_larger" => scales.iter().copied().reduce(f64::min),
                "not_smaller" => scales.iter().copied().reduce(f64::max),
                other => return Err(format!("`keep_aspect_ratio_policy` is `{other}`").into()),
            };
            for ((axis, size), scale) in axes.iter().zip(sizes).zip(scales) {
                let own = known(*axis)?;
                let (size, scale) = match all {
                    Some(scale) => ((own as f64 * scale + 0.5).floor() as u64, scale),
                    None => (
                        u64::try_from(size).map_err(|_| "a size is negative")?,
                        scale,
                    ),
                };
                if size != own || scale != 1.0 {
                    changed.push((*axis, size, scale));
                }
            }
        }
        (None, None) => return Err("has neither scales nor sizes".into()),
    }
    changed.sort_by_key(|(axis, ..)| *axis);
    if changed.is_empty() {
        return one(x);
    }
    let coordinates = match early {
        true => "asymmetric",
        false => c.str_or("coordinate_transformation_mode", "half_pixel")?,
    };
    if coordinates == "tf_crop_and_resize" {
        return Err("`tf_crop_and_resize` is not supported; crop by Slice before resizing".into());
    }
    let mode = c.str_or("mode", "nearest")?;
    let mode = if mode == "bilinear" { "linear" } else { mode };
    let nearest = if early {
        "floor"
    } else {
        c.str_or("nearest_mode", "round_prefer_floor")?
    };
    let mut target = dims;
    changed
        .iter()
        .for_each(|(axis, size, _)| target[*axis] = Dim::Known(*size));
    let mut attrs = Attrs::new()
        .with("dims", target)
        .with("mode", mode)
        .with("coordinates", coordinates)
        .with(
            "scales",
            changed
                .iter()
                .map(|(.., scale)| *scale)
                .collect::<Vec<f64>>(),
        )
        .with(
            "axes",
            changed
                .iter()
                .map(|(axis, ..)| *axis as i64)
                .collect::<Vec<i64>>(),
        );
    if mode == "nearest" {
        attrs.set("nearest", nearest);
    }
    if mode == "cubic" {
        attrs.set("cubic_a", c.float_or("cubic_coeff_a", -0.75));
    }
    if c.flag("antialias") {
        attrs.set("antialias", true);
    }
    if c.flag("exclude_outside") {
        attrs.set("exclude_outside", true);
    }
    let dtype = c.dtype(x)?;
    if dtype.is_float() {
        return one(c.with("resize", &[x], attrs)?);
    }
    let wide = c.cast(x, DType::F32)?;
    let y = c.with("resize", &[wide], attrs)?;
    let y = if mode == "nearest" {
        y
    } else {
        c.emit("round", &[y])?
    };
    one(c.cast(y, dtype)?)
}

/// Where each place of an image comes from: an affine map of coordinates between -1 and 1.
fn affine_grid(c: &mut Call<'_, '_>) -> Lowered {
    let theta = c.x(0)?;
    let size = c.ints(1)?;
    let spatial: Option<Vec<u64>> = size
        .iter()
        .skip(2)
        .map(|size| u64::try_from(*size).ok())
        .collect();
    let spatial = spatial
        .filter(|s| (2..=3).contains(&s.len()))
        .ok_or("takes two or three sizes")?;
    let dtype = c.dtype(theta)?;
    let dims: Vec<Dim> = spatial.iter().copied().map(Dim::Known).collect();
    let count = super::shape::product(&dims)?;
    let column = [count.clone(), Dim::Known(1)];
    let mut columns = Vec::new();
    // The last dim is x, the first coordinate.
    for axis in (0..spatial.len()).rev() {
        let places = c.iota(dtype, &dims, axis)?;
        let size = spatial[axis] as f64;
        let (step, start) = match c.flag("align_corners") {
            true => (2.0 / (size - 1.0).max(1.0), -1.0),
            false => (2.0 / size, 1.0 / size - 1.0),
        };
        let places = c.by("mul", places, step)?;
        let places = c.by("add", places, start)?;
        columns.push(c.reshape(places, &column)?);
    }
    columns.push(c.filled(dtype, 1.0, &column)?);
    let grid = c.concat(&columns, 1)?;
    let attrs = Attrs::new().with("transpose_b", true);
    let mapped = c.with("matmul", &[grid, theta], attrs)?;
    let mut whole = vec![c.dims(theta)?[0].clone()];
    whole.extend(dims);
    whole.push(Dim::Known(spatial.len() as u64));
    one(c.reshape(mapped, &whole)?)
}

fn roi_align(c: &mut Call<'_, '_>) -> Lowered {
    let (x, rois, batch) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let default = if c.version < 16 {
        "output_half_pixel"
    } else {
        "half_pixel"
    };
    let attrs = Attrs::new()
        .with("output_height", c.int_or("output_height", 1))
        .with("output_width", c.int_or("output_width", 1))
        .with("sampling_ratio", c.int_or("sampling_ratio", 0))
        .with("spatial_scale", c.float_or("spatial_scale", 1.0))
        .with("mode", c.str_or("mode", "avg")?)
        .with(
            "coordinate_transformation_mode",
            c.str_or("coordinate_transformation_mode", default)?,
        );
    one(c.with("roi_align", &[x, rois, batch], attrs)?)
}

/// Blocks added up where they lay. Uneven padding is cut off afterwards.
fn col2im(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let (image, block) = (c.ints(1)?, c.ints(2)?);
    let count = block.len();
    let list = |name: &str, default: i64, len: usize| match c.ints_attr(name) {
        Some(items) if items.len() == len => Ok(items.to_vec()),
        Some(items) if !items.is_empty() => Err(Miss::Because(format!("`{name}` is {items:?}"))),
        _ => Ok(vec![default; len]),
    };
    let (stride, dilation) = (list("strides", 1, count)?, list("dilations", 1, count)?);
    let pads = list("pads", 0, 2 * count)?;
    let fits = |item: &i64| (0..1 << 31).contains(item);
    if image.len() != count || !image.iter().chain(&pads).all(fits) {
        return Err("sizes and pads do not fit the blocks".into());
    }
    let even = pads[..count] == pads[count..];
    let (output, padding): (Vec<i64>, Vec<i64>) = match even {
        true => (image.clone(), pads[..count].to_vec()),
        false => {
            let wide = (0..count).map(|i| image[i] + pads[i] + pads[i + count]);
            (wide.collect(), vec![0; count])
        }
    };
    let attrs = Attrs::new()
        .with("output", output)
        .with("kernel", block)
        .with("stride", stride)
        .with("padding", padding)
        .with("dilation", dilation);
    let mut y: Value = c.with("col2im", &[x], attrs)?;
    if !even {
        for axis in 0..count {
            y = c.slice(y, axis + 2, pads[axis], pads[axis] + image[axis])?;
        }
    }
    one(y)
}
