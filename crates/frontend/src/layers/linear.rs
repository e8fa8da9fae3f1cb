//! The fully connected layer.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, Value};

use super::{BIAS, DEVICE, DTYPE, INIT};
use crate::context::LayerContext;
use crate::init::torch_uniform;
use crate::registry::{Argument, LayerFn};

const OUT: Argument = Argument::required(&["out_features", "out"], "The outgoing size.");
const IN: Argument = Argument::optional(
    &["in_features", "in"],
    "inferred",
    "The incoming size of the last axis.",
);

pub(super) const LINEAR: LayerFn = LayerFn {
    names: &["linear", "dense"],
    doc: "Weights times the last axis, [..., in] to [..., out] (`torch.nn.Linear`). States: \
          `weight` [out, in], `bias` [out].",
    arguments: &[OUT, IN, BIAS, INIT, DEVICE, DTYPE],
    lower: linear,
};

fn linear(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let out = cx.args.usize(&OUT)? as u64;
    let explicit = cx.args.usize_opt(&IN)?;
    let bias = cx.args.bool_opt(&BIAS)?.unwrap_or(true);
    cx.rank(2, usize::MAX, "[n, ..., in]; `flatten` makes such")?;
    let dtype = cx.float()?;
    let into = cx.size(-1, &IN, explicit)?;
    let mut operands = vec![cx.input()];
    operands.push(cx.parameter("weight", dtype, &[out, into], torch_uniform(into))?);
    if bias {
        operands.push(cx.parameter("bias", dtype, &[out], torch_uniform(into))?);
    }
    cx.emit1("linear", &operands, Attrs::new())
}
