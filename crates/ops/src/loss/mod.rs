//! Losses, which are means over a batch, and the count of correct answers.

mod bce_with_logits;
mod classes;
mod correct;
mod cross_entropy;
mod huber_loss;
mod l1_loss;
mod mse_loss;
mod nll_loss;
mod pointwise;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(cross_entropy::CrossEntropy)?;
    registry.register(cross_entropy::CrossEntropyGrad)?;
    registry.register(nll_loss::NllLoss)?;
    registry.register(nll_loss::NllLossGrad)?;
    registry.register(correct::Correct)?;
    registry.register(mse_loss::OP)?;
    registry.register(l1_loss::OP)?;
    registry.register(huber_loss::OP)?;
    registry.register(bce_with_logits::OP)
}
