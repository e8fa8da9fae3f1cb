//! The embedded engine's kernels, one file a family of ops.

mod adaptive_pool;
mod choose;
mod constant;
mod conv;
mod conv_channels;
mod conv_pixels;
mod elementwise;
mod embedding;
mod fold;
mod linear;
mod loss;
mod norm;
mod optimizer;
mod parts;
mod pool;
mod product;
mod random;
mod reduce;
mod scan;
mod shape;
mod slide;
mod softmax;
mod tile;
mod unary;
mod vector;
mod walk;

use crate::kernel::{KernelError, KernelRegistry};

/// All of the embedded engine's kernels.
///
/// # Errors
/// Where two kernels are registered for one op.
pub fn standard() -> Result<KernelRegistry, KernelError> {
    let mut registry = KernelRegistry::new();
    adaptive_pool::register(&mut registry)?;
    choose::register(&mut registry)?;
    constant::register(&mut registry)?;
    conv::register(&mut registry)?;
    elementwise::register(&mut registry)?;
    embedding::register(&mut registry)?;
    linear::register(&mut registry)?;
    loss::register(&mut registry)?;
    norm::register(&mut registry)?;
    optimizer::register(&mut registry)?;
    parts::register(&mut registry)?;
    pool::register(&mut registry)?;
    random::register(&mut registry)?;
    reduce::register(&mut registry)?;
    scan::register(&mut registry)?;
    shape::register(&mut registry)?;
    softmax::register(&mut registry)?;
    unary::register(&mut registry)?;
    Ok(registry)
}
