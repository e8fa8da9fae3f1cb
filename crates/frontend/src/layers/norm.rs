//! Normalisation.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, DType, Distribution, Value};

use super::{DEVICE, DTYPE, INIT};
use crate::context::LayerContext;
use crate::registry::{Argument, LayerFn, Only};

const FEATURES: Argument = Argument::optional(
    &["num_features"],
    "inferred",
    "The number of channels, axis 1.",
);
const EPS: Argument = Argument::optional(
    &["eps"],
    "1e-5",
    "What is added to the variance, above 0 or 0.",
);
const MOMENTUM: Argument = Argument::optional(
    &["momentum"],
    "0.1",
    "The share of a batch in the running statistics.",
);
const AFFINE: Argument = Argument::optional(
    &["affine"],
    "true",
    "Whether a learned scale and shift follow.",
);
const NOT_AFFINE: Argument = Argument {
    default: Some("false"),
    ..AFFINE
};
const SHAPE: Argument = Argument::optional(
    &["normalized_shape"],
    "the last axis",
    "The sizes of the last axes.",
);
const ELEMENTWISE: Argument = Argument::optional(
    &["elementwise_affine", "affine"],
    "true",
    "Whether a learned scale and shift follow.",
);
const SHIFT: Argument = Argument::optional(
    &["bias"],
    "true",
    "Whether the shift is learned with the scale.",
);
const GROUPS: Argument = Argument::required(
    &["num_groups", "groups"],
    "The number of groups of channels.",
);
const CHANNELS: Argument = Argument::optional(
    &["num_channels"],
    "inferred",
    "The number of channels, axis 1.",
);

const TRACKED: Argument = Argument::only(
    &["track_running_stats"],
    Only::Bool(true),
    "evaluation needs running statistics here; instance norm does without",
);
const UNTRACKED: Argument = Argument::only(
    &["track_running_stats"],
    Only::Bool(false),
    "each sample is normalised by its own statistics here, in evaluation too",
);
const UNUSED_MOMENTUM: Argument = Argument::only(
    &["momentum"],
    Only::Anything,
    "It says something of running statistics only.",
);

pub(super) const BATCH: LayerFn = LayerFn {
    names: &["batch-norm", "batch-norm1d", "batch-norm2d"],
    doc: "Normalises each channel (axis 1) by the batch's statistics, and in evaluation by running \
          ones (`torch.nn.BatchNorm1d`, `BatchNorm2d`). States: `weight`, `bias`, `running_mean` \
          and `running_var`, each [channels]; PyTorch's `num_batches_tracked` counts for nothing \
          with a momentum and is left out.",
    arguments: &[
        FEATURES, EPS, MOMENTUM, AFFINE, INIT, TRACKED, DEVICE, DTYPE,
    ],
    lower: batch,
};

pub(super) const LAYER: LayerFn = LayerFn {
    names: &["layer-norm"],
    doc: "Normalises the last axes of each sample (`torch.nn.LayerNorm`). States: `weight` and \
          `bias` of the normalised shape.",
    arguments: &[SHAPE, EPS, ELEMENTWISE, SHIFT, INIT, DEVICE, DTYPE],
    lower: layer,
};

pub(super) const GROUP: LayerFn = LayerFn {
    names: &["group-norm"],
    doc: "Normalises groups of channels (axis 1) of each sample (`torch.nn.GroupNorm`). States: \
          `weight` and `bias`, each [channels].",
    arguments: &[GROUPS, CHANNELS, EPS, AFFINE, INIT, DEVICE, DTYPE],
    lower: |cx| {
        let groups = cx.args.usize(&GROUPS)? as u64;
        let explicit = cx.args.usize_opt(&CHANNELS)?;
        grouped(cx, Some(groups), &CHANNELS, explicit, &AFFINE, true)
    },
};

pub(super) const INSTANCE: LayerFn = LayerFn {
    names: &["instance-norm", "instance-norm1d", "instance-norm2d"],
    doc: "Normalises each channel (axis 1) of each sample (`torch.nn.InstanceNorm1d`, \
          `InstanceNorm2d`, without running statistics). States, if affine: `weight` and `bias`, \
          each [channels].",
    arguments: &[
        FEATURES,
        EPS,
        NOT_AFFINE,
        INIT,
        UNTRACKED,
        UNUSED_MOMENTUM,
        DEVICE,
        DTYPE,
    ],
    lower: |cx| {
        let explicit = cx.args.usize_opt(&FEATURES)?;
        cx.rank(
            3,
            usize::MAX,
            "[n, channels, ...] with an axis of places at least",
        )?;
        grouped(cx, None, &FEATURES, explicit, &NOT_AFFINE, false)
    },
};

/// The scale and the shift: parameters, or constants that change nothing.
fn affine(
    cx: &mut LayerContext<'_, '_>,
    dtype: DType,
    dims: &[u64],
    learned: [bool; 2],
) -> Result<[Value; 2], Located> {
    let scale = match learned[0] {
        true => cx.parameter("weight", dtype, dims, Distribution::Constant(1.0))?,
        false => cx.filled(dtype, 1.0, dims)?,
    };
    let shift = match learned[1] {
        true => cx.parameter("bias", dtype, dims, Distribution::Constant(0.0))?,
        false => cx.filled(dtype, 0.0, dims)?,
    };
    Ok([scale, shift])
}

fn eps(cx: &mut LayerContext<'_, '_>) -> Result<f64, Located> {
    let eps = cx.args.f64_opt(&EPS)?.unwrap_or(1e-5);
    match eps.is_finite() && eps >= 0.0 {
        true => Ok(eps),
        false => Err(cx.error_at(&EPS, "`eps` is a finite number of at least 0")),
    }
}

fn batch(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let explicit = cx.args.usize_opt(&FEATURES)?;
    let eps = eps(cx)?;
    let momentum = cx.args.f64_opt(&MOMENTUM)?.unwrap_or(0.1);
    if !(0.0..=1.0).contains(&momentum) {
        return Err(cx.error_at(&MOMENTUM, "`momentum` lies between 0 and 1"));
    }
    let learned = cx.args.bool_opt(&AFFINE)?.unwrap_or(true);
    cx.rank(2, usize::MAX, "[n, channels, ...]")?;
    let dtype = cx.float()?;
    let channels = [cx.size(1, &FEATURES, explicit)?];
    let [scale, shift] = affine(cx, dtype, &channels, [learned; 2])?;
    let (mean_state, mean) = cx.buffer("running_mean", dtype, &channels, 0.0)?;
    let (var_state, var) = cx.buffer("running_var", dtype, &channels, 1.0)?;
    let eps = cx.number(dtype, eps)?;
    let momentum = cx.number(dtype, momentum)?;
    let operands = [cx.input(), scale, shift, mean, var, eps, momentum];
    let results = cx.emit("batch_norm_train", &operands, Attrs::new())?;
    cx.update(mean_state, results[1]);
    cx.update(var_state, results[2]);
    Ok(results[0])
}

fn layer(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let explicit = cx.args.usizes_opt(&SHAPE)?;
    let eps = eps(cx)?;
    let scaled = cx.args.bool_opt(&ELEMENTWISE)?.unwrap_or(true);
    let shifted = cx.args.bool_opt(&SHIFT)?.unwrap_or(true) && scaled;
    let dtype = cx.float()?;
    let count = explicit.as_ref().map_or(1, Vec::len);
    if count == 0 {
        return Err(cx.error_at(&SHAPE, "`normalized_shape` has a size at least"));
    }
    // Axis 0 is the batch: normalising over it would mix samples.
    cx.rank(
        count + 1,
        usize::MAX,
        &format!("[n, ...] with {count} axes after the batch"),
    )?;
    let mut dims = Vec::with_capacity(count);
    for place in 0..count {
        let explicit = explicit.as_ref().map(|sizes| sizes[place]);
        dims.push(cx.size(place as i64 - count as i64, &SHAPE, explicit)?);
    }
    let [scale, shift] = affine(cx, dtype, &dims, [scaled, shifted])?;
    let eps = cx.number(dtype, eps)?;
    let attrs = Attrs::new().with("axes", count as i64);
    Ok(cx.emit("layer_norm", &[cx.input(), scale, shift, eps], attrs)?[0])
}

fn grouped(
    cx: &mut LayerContext<'_, '_>,
    groups: Option<u64>,
    channels: &Argument,
    explicit: Option<usize>,
    learned: &Argument,
    default: bool,
) -> Result<Value, Located> {
    let eps = eps(cx)?;
    let learned = cx.args.bool_opt(learned)?.unwrap_or(default);
    cx.rank(2, usize::MAX, "[n, channels, ...]")?;
    let dtype = cx.float()?;
    let channels = cx.size(1, channels, explicit)?;
    let groups = groups.unwrap_or(channels);
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(cx.error(format!("{channels} channels do not make {groups} groups")));
    }
    let [scale, shift] = affine(cx, dtype, &[channels], [learned; 2])?;
    let eps = cx.number(dtype, eps)?;
    let attrs = Attrs::new().with("groups", groups as i64);
    Ok(cx.emit("group_norm", &[cx.input(), scale, shift, eps], attrs)?[0])
}
