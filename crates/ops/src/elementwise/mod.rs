//! Ops that work element by element, broadcasting as NumPy does where they have several operands.

mod activation;
mod binary;
mod cast;
mod compare;
mod grads;
mod select;
mod smooth;
#[cfg(test)]
mod tests;
mod unary;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    unary::register(registry)?;
    binary::register(registry)?;
    compare::register(registry)?;
    registry.register(select::Where)?;
    registry.register(cast::Cast)?;
    grads::register(registry)?;
    smooth::register(registry)?;
    activation::register(registry)
}
