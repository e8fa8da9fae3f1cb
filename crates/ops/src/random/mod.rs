//! Ops that draw from streams.

mod dropout;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(dropout::Dropout)
}
