//! Convolutions.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, Value};

use super::{BIAS, DEVICE, DTYPE, INIT};
use crate::context::LayerContext;
use crate::init::torch_uniform;
use crate::registry::{Argument, LayerFn, Only, fold};

const OUT: Argument =
    Argument::required(&["out_channels", "out"], "The number of outgoing channels.");
const KERNEL: Argument = Argument::required(
    &["kernel_size", "kernel"],
    "The window, a number or one for each axis.",
);
const STRIDE: Argument = Argument::optional(&["stride"], "1", "The steps between windows.");
const PADDING: Argument = Argument::optional(
    &["padding"],
    "0",
    "Zeros on either side; \"valid\" for none, \"same\" to keep the size, with a stride of 1.",
);
const DILATION: Argument =
    Argument::optional(&["dilation"], "1", "The distance of a window's elements.");
const GROUPS: Argument = Argument::optional(
    &["groups"],
    "1",
    "The number of groups of channels that do not meet.",
);
const IN: Argument = Argument::optional(
    &["in_channels", "in"],
    "inferred",
    "The number of incoming channels.",
);

const PADDING_MODE: Argument = Argument::only(
    &["padding_mode"],
    Only::Str("zeros"),
    "the padding is of zeros here; another needs a layer of its own",
);

const ARGUMENTS: &[Argument] = &[
    OUT,
    KERNEL,
    STRIDE,
    PADDING,
    DILATION,
    GROUPS,
    BIAS,
    IN,
    INIT,
    PADDING_MODE,
    DEVICE,
    DTYPE,
];

pub(super) const CONV2D: LayerFn = LayerFn {
    names: &["conv2d"],
    doc: "A convolution over images [n, channels, height, width] (`torch.nn.Conv2d`). States: \
          `weight` [out, in / groups, kernel, kernel], `bias` [out].",
    arguments: ARGUMENTS,
    lower: |cx| conv::<2>(cx, "conv2d", "images [n, channels, height, width]"),
};

pub(super) const CONV1D: LayerFn = LayerFn {
    names: &["conv1d"],
    doc: "A convolution over sequences [n, channels, length] (`torch.nn.Conv1d`). States: \
          `weight` [out, in / groups, kernel], `bias` [out].",
    arguments: ARGUMENTS,
    lower: |cx| conv::<1>(cx, "conv1d", "sequences [n, channels, length]"),
};

fn conv<const N: usize>(
    cx: &mut LayerContext<'_, '_>,
    op: &str,
    wanted: &str,
) -> Result<Value, Located> {
    let out = cx.args.usize(&OUT)? as u64;
    let kernel = cx.window::<N>(&KERNEL, None, 1)?;
    let stride = cx.window(&STRIDE, Some([1; N]), 1)?;
    let dilation = cx.window(&DILATION, Some([1; N]), 1)?;
    let (padding, more) = padding(cx, kernel, stride, dilation)?;
    let groups = cx.args.usize_opt(&GROUPS)?.unwrap_or(1) as u64;
    let bias = cx.args.bool_opt(&BIAS)?.unwrap_or(true);
    let explicit = cx.args.usize_opt(&IN)?;
    cx.rank(
        N + 2,
        N + 2,
        &format!("{wanted}; `unflatten` or `reshape` make such"),
    )?;
    let dtype = cx.float()?;
    let into = cx.size(1, &IN, explicit)?;
    if !into.is_multiple_of(groups) || !out.is_multiple_of(groups) || groups == 0 {
        let message = format!("{into} incoming and {out} outgoing channels in {groups} groups");
        return Err(cx.error_at(&GROUPS, message));
    }
    let mut dims = vec![out, into / groups];
    dims.extend(kernel.iter().map(|k| k.unsigned_abs()));
    let fan_in = dims[1..].iter().try_fold(1u64, |n, d| n.checked_mul(*d));
    let fan_in = fan_in.ok_or_else(|| cx.error_at(&KERNEL, "the weight is too large"))?;
    let mut x = cx.input();
    if more.iter().any(|m| *m > 0) {
        let zero = cx.number(dtype, 0.0)?;
        let high: Vec<i64> = [0, 0].into_iter().chain(more).collect();
        let attrs = Attrs::new()
            .with("low", vec![0i64; N + 2])
            .with("high", high);
        x = cx.emit1("pad", &[x, zero], attrs)?;
    }
    let mut operands = vec![x];
    operands.push(cx.parameter("weight", dtype, &dims, torch_uniform(fan_in))?);
    if bias {
        operands.push(cx.parameter("bias", dtype, &[out], torch_uniform(fan_in))?);
    }
    let attrs = Attrs::new()
        .with("stride", stride.to_vec())
        .with("padding", padding.to_vec())
        .with("dilation", dilation.to_vec())
        .with("groups", groups as i64);
    cx.emit1(op, &operands, attrs)
}

/// The padding on both sides of each axis, and what the far side has more: "same" with a window of
/// even size is lopsided.
fn padding<const N: usize>(
    cx: &mut LayerContext<'_, '_>,
    kernel: [i64; N],
    stride: [i64; N],
    dilation: [i64; N],
) -> Result<([i64; N], [i64; N]), Located> {
    let word = cx
        .args
        .value_opt(&PADDING)?
        .and_then(|value| value.value.as_str());
    match word.map(fold).as_deref() {
        None => Ok((cx.window(&PADDING, Some([0; N]), 0)?, [0; N])),
        Some("valid") => Ok(([0; N], [0; N])),
        Some("same") if stride != [1; N] => {
            Err(cx.error_at(&PADDING, "\"same\" padding needs a stride of 1"))
        }
        Some("same") => {
            let mut total = [0; N];
            for (total, (k, d)) in total.iter_mut().zip(kernel.iter().zip(dilation)) {
                let all = (k - 1).checked_mul(d);
                *total = all.ok_or_else(|| cx.error_at(&KERNEL, "the window is too large"))?;
            }
            Ok((total.map(|t| t / 2), total.map(|t| t % 2)))
        }
        Some(_) => Err(cx.error_at(&PADDING, "`padding` is numbers, \"same\" or \"valid\"")),
    }
}
