//! Layers along one axis or several.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, Value};
use syncarp_sweep::Value as Written;

use crate::context::LayerContext;
use crate::registry::{Argument, LayerFn};

const AXES: Argument =
    Argument::required(&["dim", "axis", "axes"], "The axis, or several in an array.");
const KEEP: Argument = Argument::optional(
    &["keepdim", "keep"],
    "false",
    "Whether the axes stay, with size 1.",
);
const AXIS: Argument =
    Argument::optional(&["dim", "axis"], "-1", "The axis that sums to one.");

pub(super) const MEAN: LayerFn = LayerFn {
    names: &["mean"],
    doc: "The mean over axes (`torch.mean`).",
    arguments: &[AXES, KEEP],
    lower: |cx| {
        let written: Vec<i64> = match &cx.args.value(&AXES)?.value {
            Written::Int(axis) => vec![*axis],
            Written::Array(items) => items
                .iter()
                .filter_map(|item| match item.value {
                    Written::Int(axis) => Some(axis),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        let count = match &cx.args.value(&AXES)?.value {
            Written::Array(items) => items.len(),
            _ => 1,
        };
        if written.is_empty() || written.len() != count {
            return Err(cx.error_at(&AXES, "`dim` is a whole number or an array of such"));
        }
        let keep = cx.args.bool_opt(&KEEP)?.unwrap_or(false);
        cx.float()?;
        let mut axes = Vec::with_capacity(written.len());
        for axis in written {
            axes.push(cx.axis(&AXES, axis)?);
        }
        if cx.ty().rank().is_some() && axes.contains(&0) {
            return Err(cx.error_at(&AXES, "axis 0 is the batch: its samples must not mix"));
        }
        cx.emit1("mean", &[cx.input()], Attrs::new().with("axes", axes).with("keep", keep))
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
    cx.emit1(op, &[cx.input()], Attrs::new().with("axis", axis))
}
