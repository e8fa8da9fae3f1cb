//! The embedded engine's kernels, one file a family of ops.

mod linear;
mod loss;
mod optimizer;
mod product;
mod random;
mod softmax;
mod tile;
mod vector;

use crate::kernel::{KernelError, KernelRegistry};

/// All of the embedded engine's kernels.
///
/// # Errors
/// Where two kernels are registered for one op.
pub fn standard() -> Result<KernelRegistry, KernelError> {
    let mut registry = KernelRegistry::new();
    linear::register(&mut registry)?;
    loss::register(&mut registry)?;
    optimizer::register(&mut registry)?;
    random::register(&mut registry)?;
    softmax::register(&mut registry)?;
    Ok(registry)
}
