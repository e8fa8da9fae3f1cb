//! The embedded engine's kernels, one file a family of ops.

mod product;
mod tile;
mod vector;

use crate::kernel::{KernelError, KernelRegistry};

/// All of the embedded engine's kernels.
///
/// # Errors
/// Where two kernels are registered for one op.
pub fn standard() -> Result<KernelRegistry, KernelError> {
    let registry = KernelRegistry::new();
    Ok(registry)
}
