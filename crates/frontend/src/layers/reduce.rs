//! Layers along one axis or several.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, Value};

use super::shape::sizes;
use crate::context::LayerContext;
use crate::registry::{Argument, LayerFn};

const AXES: Argument = Argument::required(
    &["dim", "axis", "axes"],
    "The axis, or several in an array.",
);
const KEEP: Argument = Argument::optional(
    &["keepdim", "keep"],
    "false",
    "Whether the axes stay, with size 1.",
);
const AXIS: Argument = Argument::optional(
    &["dim", "axis"],
    "-1",
    "The axis that sums to one.",
)
.or_null()
// PyTorch takes the second of two axes, and of four; of three it would take the batch.
.in_torch(1);

pub(super) const MEAN: LayerFn = LayerFn {
    names: &["mean"],
    doc: "The mean over axes (`torch.mean`).",
    arguments: &[AXES, KEEP],
    lower: |cx| {
        let written = sizes(cx, &AXES)?;
        let keep = cx.args.bool_opt(&KEEP)?.unwrap_or(false);
        cx.float()?;
        let mut axes = Vec::with_capacity(written.len());
        for axis in written {
            axes.push(cx.axis(&AXES, axis)?);
        }
        if axes.is_empty() {
            return Err(cx.error_at(&AXES, "an axis at least is needed"));
        }
        unmixed(cx, &AXES, &axes)?;
        cx.emit1(
            "mean",
            &[cx.input()],
            Attrs::new().with("axes", axes).with("keep", keep),
        )
    },
};

pub(super) const SOFTMAX: LayerFn = LayerFn {
    names: &["softmax"],
    doc: "Exponentials that sum to one along an axis (`torch.nn.Softmax`).",
    arguments: &[AXIS],
    lower: |cx| along(cx, "softmax"),
};

pub(super) const LOG_SOFTMAX: LayerFn = LayerFn {
    names: &["log-softmax"],
    doc: "The logarithms of a softmax along an axis (`torch.nn.LogSoftmax`).",
    arguments: &[AXIS],
    lower: |cx| along(cx, "log_softmax"),
};

fn along(cx: &mut LayerContext<'_, '_>, op: &str) -> Result<Value, Located> {
    let axis = cx.args.i64_opt(&AXIS)?.unwrap_or(-1);
    cx.float()?;
    let axis = cx.axis(&AXIS, axis)?;
    unmixed(cx, &AXIS, &[axis])?;
    cx.emit1(op, &[cx.input()], Attrs::new().with("axis", axis))
}

/// Demands that the batch is not among the axes.
fn unmixed(cx: &LayerContext<'_, '_>, argument: &Argument, axes: &[i64]) -> Result<(), Located> {
    match axes.contains(&0) {
        true => Err(cx.error_at(argument, "axis 0 is the batch: its samples must not mix")),
        false => Ok(()),
    }
}
