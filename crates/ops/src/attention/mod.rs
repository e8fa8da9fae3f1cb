//! Softmaxes and what is made of them.

#[allow(clippy::module_inception)]
mod attention;
mod softmax;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    softmax::register(registry)?;
    registry.register(attention::Attention)
}
