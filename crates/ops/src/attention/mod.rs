//! Softmaxes and what is made of them.

mod exponential;
mod log_softmax;
mod scaled_dot_product_attention;
mod softmax;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(softmax::OP)?;
    registry.register(log_softmax::OP)?;
    registry.register(scaled_dot_product_attention::Attention)
}
