//! Pooling.

use syncarp_ir::Attrs;

use crate::registry::{Argument, LayerFn, Only};

const KERNEL: Argument = Argument::required(
    &["kernel_size", "kernel"],
    "The window, a number or one for each axis.",
);
const STRIDE: Argument =
    Argument::optional(&["stride"], "the window", "The steps between windows.").or_null();
const PADDING: Argument = Argument::optional(
    &["padding"],
    "0",
    "Padding on either side, at most half of the window.",
);
const DILATION: Argument =
    Argument::optional(&["dilation"], "1", "The distance of a window's elements.");
const CEIL: Argument = Argument::optional(
    &["ceil_mode"],
    "false",
    "Whether a last window may reach over the edge.",
);
const COUNT: Argument = Argument::optional(
    &["count_include_pad"],
    "true",
    "Whether padding counts in the mean.",
);
const OUTPUT: Argument = Argument::required(
    &["output_size", "output"],
    "The outgoing height and width, a number or one for each.",
);

const INDICES: Argument = Argument::only(
    &["return_indices"],
    Only::Bool(false),
    "only the elements are given back here, not their places",
);
const DIVISOR: Argument = Argument::only(
    &["divisor_override"],
    Only::Nothing,
    "a mean is divided by the number of its elements here",
);

const IMAGES: &str = "images [n, channels, height, width]";

pub(super) const MAX: LayerFn = LayerFn {
    names: &["max-pool2d"],
    doc: "The largest element of each window of images [n, channels, height, width] \
          (`torch.nn.MaxPool2d`).",
    arguments: &[KERNEL, STRIDE, PADDING, DILATION, CEIL, INDICES],
    lower: |cx| {
        let kernel = cx.window::<2>(&KERNEL, None, 1)?;
        let stride = cx.window(&STRIDE, Some(kernel), 1)?;
        let padding = cx.window(&PADDING, Some([0; 2]), 0)?;
        let dilation = cx.window(&DILATION, Some([1; 2]), 1)?;
        let ceil = cx.args.bool_opt(&CEIL)?.unwrap_or(false);
        cx.rank(4, 4, IMAGES)?;
        cx.float()?;
        let attrs = Attrs::new()
            .with("kernel", kernel.to_vec())
            .with("stride", stride.to_vec())
            .with("padding", padding.to_vec())
            .with("dilation", dilation.to_vec())
            .with("ceil_mode", ceil);
        Ok(cx.emit("max_pool2d", &[cx.input()], attrs)?[0])
    },
};

pub(super) const AVERAGE: LayerFn = LayerFn {
    names: &["avg-pool2d"],
    doc: "The mean of each window of images [n, channels, height, width] (`torch.nn.AvgPool2d`).",
    arguments: &[KERNEL, STRIDE, PADDING, CEIL, COUNT, DIVISOR],
    lower: |cx| {
        let kernel = cx.window::<2>(&KERNEL, None, 1)?;
        let stride = cx.window(&STRIDE, Some(kernel), 1)?;
        let padding = cx.window(&PADDING, Some([0; 2]), 0)?;
        let ceil = cx.args.bool_opt(&CEIL)?.unwrap_or(false);
        let count = cx.args.bool_opt(&COUNT)?.unwrap_or(true);
        cx.rank(4, 4, IMAGES)?;
        cx.float()?;
        let attrs = Attrs::new()
            .with("kernel", kernel.to_vec())
            .with("stride", stride.to_vec())
            .with("padding", padding.to_vec())
            .with("ceil_mode", ceil)
            .with("count_include_pad", count);
        cx.emit1("avg_pool2d", &[cx.input()], attrs)
    },
};

pub(super) const ADAPTIVE_AVERAGE: LayerFn = LayerFn {
    names: &["adaptive-avg-pool2d"],
    doc: "Means of as many windows as the outgoing image has pixels, [n, channels, height, width] \
          to [n, channels, output, output] (`torch.nn.AdaptiveAvgPool2d`).",
    arguments: &[OUTPUT],
    lower: |cx| {
        let output = cx.window::<2>(&OUTPUT, None, 1)?;
        cx.rank(4, 4, IMAGES)?;
        cx.float()?;
        let attrs = Attrs::new().with("output", output.to_vec());
        cx.emit1("adaptive_avg_pool2d", &[cx.input()], attrs)
    },
};

pub(super) const GLOBAL_AVERAGE: LayerFn = LayerFn {
    names: &["global-avg-pool"],
    doc: "The mean of each channel, [n, channels, ...] to [n, channels].",
    arguments: &[],
    lower: |cx| {
        cx.rank(
            3,
            usize::MAX,
            "[n, channels, ...] with an axis of places at least",
        )?;
        cx.float()?;
        let Some(rank) = cx.ty().rank() else {
            return Err(cx.error("expects a value whose number of axes is known"));
        };
        let axes: Vec<i64> = (2..rank as i64).collect();
        cx.emit1(
            "mean",
            &[cx.input()],
            Attrs::new().with("axes", axes).with("keep", false),
        )
    },
};
