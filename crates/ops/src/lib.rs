//! The standard ops: one file an op or a family of tiny ones, registered by one line each.
//!
//! ```
//! let ops = syncarp_ops::standard();
//! assert!(ops.find("relu").is_some());
//! ```

mod attention;
mod bitwise;
#[cfg(test)]
mod case;
mod conv;
mod device;
mod elementwise;
mod emit;
mod expect;
mod indexing;
mod infer;
mod linear;
mod loss;
mod norm;
mod optimizer;
mod random;
mod reduce;
mod shape;
#[cfg(test)]
mod testing;

pub use emit::Emit;

use syncarp_ir::{OpRegistry, RegisterError};

/// All standard ops beside the sources that every registry knows.
///
/// # Panics
/// If two standard ops have one name, which a test rules out.
pub fn standard() -> OpRegistry {
    let mut registry = OpRegistry::new();
    register(&mut registry).expect("the standard ops have distinct names");
    registry
}

fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    conv::register(registry)?;
    device::register(registry)?;
    elementwise::register(registry)?;
    bitwise::register(registry)?;
    indexing::register(registry)?;
    shape::register(registry)?;
    reduce::register(registry)?;
    linear::register(registry)?;
    loss::register(registry)?;
    norm::register(registry)?;
    optimizer::register(registry)?;
    random::register(registry)?;
    attention::register(registry)?;
    Ok(())
}
