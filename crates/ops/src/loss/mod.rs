//! Losses, which are means over a batch, and the count of correct answers.

mod classes;
mod correct;
mod cross_entropy;
mod nll;
mod pointwise;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(cross_entropy::CrossEntropy)?;
    registry.register(cross_entropy::CrossEntropyGrad)?;
    registry.register(nll::NllLoss)?;
    registry.register(nll::NllLossGrad)?;
    registry.register(correct::Correct)?;
    pointwise::register(registry)
}
