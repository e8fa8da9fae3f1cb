//! Placeholder until the family stands.

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(_registry: &mut OpRegistry) -> Result<(), RegisterError> {
    Ok(())
}
