//! Regularisation.

use syncarp_diag::Located;

use super::INPLACE;
use crate::context::LayerContext;
use crate::registry::{Argument, LayerFn};

const P: Argument = Argument::optional(
    &["p"],
    "0.5",
    "The probability that an element becomes zero, from 0 to 1.",
);

pub(super) const DROPOUT: LayerFn = LayerFn {
    names: &["dropout"],
    doc: "Zeroes elements at random in training and scales the others up; the incoming value in \
          evaluation (`torch.nn.Dropout`).",
    arguments: &[P, INPLACE],
    lower: |cx| {
        let p = probability(cx, &P, 0.5)?;
        cx.float()?;
        cx.dropout(cx.input(), p, None)
    },
};

/// A probability that may be left out.
pub(super) fn probability(
    cx: &mut LayerContext<'_, '_>,
    argument: &Argument,
    default: f64,
) -> Result<f64, Located> {
    let p = cx.args.f64_opt(argument)?.unwrap_or(default);
    match (0.0..=1.0).contains(&p) {
        true => Ok(p),
        false => {
            let name = argument.names[0];
            Err(cx.error_at(argument, format!("`{name}` lies between 0 and 1")))
        }
    }
}
