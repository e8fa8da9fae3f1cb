//! Images made larger or smaller, and taken at places of their own.

use syncarp_ir::{Attrs, Dim};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

/// How a family of functions places and mixes elements.
struct Rule {
    mode: &'static str,
    /// How coordinates are found where corners are not aligned.
    coordinates: &'static str,
    nearest: Option<&'static str>,
    antialias: bool,
}

const NEAREST: Rule = Rule {
    mode: "nearest",
    coordinates: "asymmetric",
    nearest: Some("floor"),
    antialias: false,
};
const EXACT: Rule = Rule {
    mode: "nearest",
    coordinates: "half_pixel",
    nearest: Some("round_prefer_ceil"),
    antialias: false,
};
const LINEAR: Rule = Rule {
    mode: "linear",
    coordinates: "half_pixel",
    nearest: None,
    antialias: false,
};
const CUBIC: Rule = Rule {
    mode: "cubic",
    coordinates: "half_pixel",
    nearest: None,
    antialias: false,
};
const SMOOTH_LINEAR: Rule = Rule {
    antialias: true,
    ..LINEAR
};
const SMOOTH_CUBIC: Rule = Rule {
    antialias: true,
    ..CUBIC
};

/// The two spellings of a function: sizes or scale factors, or sizes and a scale for each axis.
macro_rules! resized {
    ($rule:ident: $($schema:literal),* $(,)?) => {
        Function {
            schemas: &[$($schema),*],
            lower: |c| resize(c, &$rule),
        }
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    resized!(NEAREST:
        "aten::upsample_nearest1d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) \
         -> Tensor",
        "aten::upsample_nearest1d(Tensor self, SymInt[1] output_size, float? scales=None) -> Tensor",
        "aten::upsample_nearest2d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) \
         -> Tensor",
        "aten::upsample_nearest2d(Tensor self, SymInt[2] output_size, float? scales_h=None, \
         float? scales_w=None) -> Tensor",
        "aten::upsample_nearest3d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) \
         -> Tensor",
        "aten::upsample_nearest3d(Tensor self, SymInt[3] output_size, float? scales_d=None, \
         float? scales_h=None, float? scales_w=None) -> Tensor",
    ),
    resized!(EXACT:
        "aten::_upsample_nearest_exact1d.vec(Tensor input, SymInt[]? output_size, \
         float[]? scale_factors) -> Tensor",
        "aten::_upsample_nearest_exact1d(Tensor self, SymInt[1] output_size, float? scales=None) \
         -> Tensor",
        "aten::_upsample_nearest_exact2d.vec(Tensor input, SymInt[]? output_size, \
         float[]? scale_factors) -> Tensor",
        "aten::_upsample_nearest_exact2d(Tensor self, SymInt[2] output_size, \
         float? scales_h=None, float? scales_w=None) -> Tensor",
        "aten::_upsample_nearest_exact3d.vec(Tensor input, SymInt[]? output_size, \
         float[]? scale_factors) -> Tensor",
        "aten::_upsample_nearest_exact3d(Tensor self, SymInt[3] output_size, \
         float? scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor",
    ),
    resized!(LINEAR:
        "aten::upsample_linear1d.vec(Tensor input, SymInt[]? output_size, bool align_corners, \
         float[]? scale_factors) -> Tensor",
        "aten::upsample_linear1d(Tensor self, SymInt[1] output_size, bool align_corners, \
         float? scales=None) -> Tensor",
        "aten::upsample_bilinear2d.vec(Tensor input, SymInt[]? output_size, bool align_corners, \
         float[]? scale_factors) -> Tensor",
        "aten::upsample_bilinear2d(Tensor self, SymInt[2] output_size, bool align_corners, \
         float? scales_h=None, float? scales_w=None) -> Tensor",
        "aten::upsample_trilinear3d.vec(Tensor input, SymInt[]? output_size, \
         bool align_corners, float[]? scale_factors) -> Tensor",
        "aten::upsample_trilinear3d(Tensor self, SymInt[3] output_size, bool align_corners, \
         float? scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor",
    ),
    resized!(CUBIC:
        "aten::upsample_bicubic2d.vec(Tensor input, SymInt[]? output_size, bool align_corners, \
         float[]? scale_factors) -> Tensor",
        "aten::upsample_bicubic2d(Tensor self, SymInt[2] output_size, bool align_corners, \
         float? scales_h=None, float? scales_w=None) -> Tensor",
    ),
    resized!(SMOOTH_LINEAR:
        "aten::_upsample_bilinear2d_aa.vec(Tensor input, SymInt[]? output_size, \
         bool align_corners, float[]? scale_factors) -> Tensor",
        "aten::_upsample_bilinear2d_aa(Tensor self, SymInt[2] output_size, bool align_corners, \
         float? scales_h=None, float? scales_w=None) -> Tensor",
    ),
    resized!(SMOOTH_CUBIC:
        "aten::_upsample_bicubic2d_aa.vec(Tensor input, SymInt[]? output_size, \
         bool align_corners, float[]? scale_factors) -> Tensor",
        "aten::_upsample_bicubic2d_aa(Tensor self, SymInt[2] output_size, bool align_corners, \
         float? scales_h=None, float? scales_w=None) -> Tensor",
    ),
    Function {
        schemas: &[
            "aten::affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) -> Tensor",
        ],
        lower: affine_grid,
    },
    Function {
        schemas: &[
            "aten::grid_sampler(Tensor input, Tensor grid, int interpolation_mode, \
             int padding_mode, bool align_corners) -> Tensor",
            "aten::grid_sampler_2d(Tensor input, Tensor grid, int interpolation_mode, \
             int padding_mode, bool align_corners) -> Tensor",
            "aten::grid_sampler_3d(Tensor input, Tensor grid, int interpolation_mode, \
             int padding_mode, bool align_corners) -> Tensor",
        ],
        lower: |c| {
            let (x, grid) = (c.tensor("input")?, c.tensor("grid")?);
            let mode = match c.int("interpolation_mode")? {
                0 => "linear",
                1 => "nearest",
                2 => "cubic",
                other => return Err(format!("`interpolation_mode` cannot be {other}")),
            };
            let padding = match c.int("padding_mode")? {
                0 => "zeros",
                1 => "border",
                2 => "reflection",
                other => return Err(format!("`padding_mode` cannot be {other}")),
            };
            let attrs = Attrs::new()
                .with("mode", mode)
                .with("padding", padding)
                .with("align_corners", c.bool("align_corners")?);
            c.give_with("grid_sample", &[x, grid], attrs)
        },
    },
];

fn resize(c: &mut Call<'_, '_>, rule: &Rule) -> Lowered {
    let x = c.tensor(if c.has("self") { "self" } else { "input" })?;
    let mut dims = c.dims(x)?;
    let spatial = dims.len().checked_sub(2).filter(|n| *n > 0);
    let spatial = spatial.ok_or("takes images with a batch and channels")?;
    let mut scales: Vec<Option<f64>> = Vec::new();
    if c.has("scale_factors") {
        if let Some(items) = c.arg("scale_factors").items() {
            for item in items {
                scales.push(match item {
                    Arg::Float(scale) => Some(*scale),
                    Arg::Int(scale) => Some(*scale as f64),
                    other => return Err(format!("a scale cannot be {other}")),
                });
            }
        }
    } else {
        let names: &[&str] = match spatial {
            1 => &["scales"],
            2 => &["scales_h", "scales_w"],
            _ => &["scales_d", "scales_h", "scales_w"],
        };
        for name in names {
            scales.push(c.number_opt(name)?);
        }
    }
    if scales.iter().flatten().any(|scale| *scale <= 0.0) {
        return Err("scales are above 0".to_owned());
    }
    let sizes = match c.arg("output_size") {
        Arg::None => None,
        _ => Some(super::shape::sizes(c, "output_size")?),
    };
    for at in 0..spatial {
        let axis = 2 + at;
        dims[axis] = match (&sizes, scales.get(at).copied().flatten()) {
            (Some(sizes), _) => {
                let size = sizes.get(at).cloned().flatten();
                size.ok_or("`output_size` has a size for each axis")?
            }
            (None, Some(scale)) => {
                let size = dims[axis].known();
                let size = size.ok_or("an image of unknown size needs an `output_size`")?;
                Dim::Known((size as f64 * scale).floor() as u64)
            }
            (None, None) => return Err("neither sizes nor scales are given".to_owned()),
        };
    }
    let aligned = c.has("align_corners") && c.bool("align_corners")?;
    let coordinates = if aligned {
        "align_corners"
    } else {
        rule.coordinates
    };
    let mut attrs = Attrs::new()
        .with("dims", dims)
        .with("mode", rule.mode)
        .with("coordinates", coordinates);
    // Coordinates follow a scale where one is given, not the ratio of the rounded sizes.
    if scales.len() == spatial && scales.iter().all(Option::is_some) && !aligned {
        let all = [1.0, 1.0]
            .into_iter()
            .chain(scales.iter().map(|s| s.unwrap_or(1.0)));
        attrs.set("scales", all.collect::<Vec<f64>>());
    }
    if let Some(nearest) = rule.nearest {
        attrs.set("nearest", nearest);
    }
    if rule.antialias {
        attrs.set("antialias", true);
        // The filter of the smooth forms is another one.
        attrs.set("cubic_a", -0.5);
        attrs.set("exclude_outside", true);
    }
    c.give_with("resize", &[x], attrs)
}

/// The places of a grid from -1 to 1 in each axis, x first, turned and moved by matrices
/// `theta` [n, axes, axes + 1].
fn affine_grid(c: &mut Call<'_, '_>) -> Lowered {
    let theta = c.tensor("theta")?;
    let sizes = super::shape::sizes(c, "size")?
        .into_iter()
        .collect::<Option<Vec<Dim>>>();
    let sizes = sizes.ok_or("a size is left open")?;
    let [_, _, spatial @ ..] = &sizes[..] else {
        return Err("`size` has a batch, channels and axes".to_owned());
    };
    let aligned = c.bool("align_corners")?;
    let dtype = c.dtype(theta);
    let mut columns = Vec::new();
    for at in (0..spatial.len()).rev() {
        let size = spatial[at].known().filter(|size| *size > 0);
        let size = size.ok_or("an image of unknown size has no grid here")? as f64;
        let place = c.places(dtype, spatial, at)?;
        let (scale, shift) = match aligned {
            true if size == 1.0 => (0.0, 0.0),
            true => (2.0 / (size - 1.0), -1.0),
            false => (2.0 / size, 1.0 / size - 1.0),
        };
        let (scale, shift) = (c.constant(dtype, scale)?, c.constant(dtype, shift)?);
        let place = c.op("mul", &[place, scale])?;
        let place = c.op("add", &[place, shift])?;
        columns.push(c.emit(
            "unsqueeze",
            &[place],
            Attrs::new().with("axes", vec![-1i64]),
        )?);
    }
    let mut ones = spatial.to_vec();
    ones.push(Dim::Known(1));
    columns.push(c.filled(dtype, 1.0, &ones)?);
    let base = c.joined(&columns, spatial.len())?;
    let count = spatial
        .iter()
        .try_fold(Dim::Known(1), |n, dim| n.times(dim));
    let count = count.ok_or("the image is too large")?;
    let width = Dim::Known(spatial.len() as u64 + 1);
    let base = c.reshaped(base, &[count, width])?;
    let theta = c.permuted(theta, &[0, 2, 1])?;
    let grid = c.op("matmul", &[base, theta])?;
    let mut dims = vec![sizes[0].clone()];
    dims.extend(spatial.iter().cloned());
    dims.push(Dim::Known(spatial.len() as u64));
    c.reshaped(grid, &dims).map(Arg::Tensor)
}
