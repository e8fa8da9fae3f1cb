//! Ops on the bits of integers, broadcasting as NumPy does: one file an op; `bits` is the form that
//! all of them have.

mod bits;
mod bitwise_and;
mod bitwise_not;
mod bitwise_or;
mod bitwise_xor;
mod shift_left;
mod shift_right;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(bitwise_not::OP)?;
    registry.register(bitwise_and::OP)?;
    registry.register(bitwise_or::OP)?;
    registry.register(bitwise_xor::OP)?;
    registry.register(shift_left::OP)?;
    registry.register(shift_right::OP)
}
