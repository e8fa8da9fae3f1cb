//! The embedded engine's kernels, one file a family of ops.

mod adaptive_pool;
mod bitwise;
mod choose;
mod classify;
mod constant;
mod conv;
mod conv_channels;
mod conv_pixels;
mod det;
mod draw;
mod element;
mod elementwise;
mod embedding;
mod fold;
mod gather;
mod linear;
mod loss;
mod norm;
mod optimizer;
mod parts;
mod pool;
mod product;
mod random;
mod reduce;
mod reverse;
mod running;
mod scan;
mod scatter;
mod shape;
mod slide;
mod softmax;
mod stop_gradient;
mod tile;
mod top_k;
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
    bitwise::register(&mut registry)?;
    choose::register(&mut registry)?;
    classify::register(&mut registry)?;
    constant::register(&mut registry)?;
    conv::register(&mut registry)?;
    det::register(&mut registry)?;
    draw::register(&mut registry)?;
    elementwise::register(&mut registry)?;
    embedding::register(&mut registry)?;
    gather::register(&mut registry)?;
    linear::register(&mut registry)?;
    loss::register(&mut registry)?;
    norm::register(&mut registry)?;
    optimizer::register(&mut registry)?;
    parts::register(&mut registry)?;
    pool::register(&mut registry)?;
    random::register(&mut registry)?;
    reduce::register(&mut registry)?;
    reverse::register(&mut registry)?;
    running::register(&mut registry)?;
    scan::register(&mut registry)?;
    scatter::register(&mut registry)?;
    shape::register(&mut registry)?;
    softmax::register(&mut registry)?;
    stop_gradient::register(&mut registry)?;
    top_k::register(&mut registry)?;
    unary::register(&mut registry)?;
    Ok(registry)
}
