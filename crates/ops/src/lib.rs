//! The standard ops: one file an op, with its gradient where that is an op of its own, registered
//! by one line each in its family's folder.
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

/// How a family registers its ops.
type Register = fn(&mut OpRegistry) -> Result<(), RegisterError>;

fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    let mut family = |name, doc, register: Register| registry.register_family(name, doc, register);
    family(
        "elementwise",
        "Element by element, broadcasting as NumPy does where there are several operands.",
        elementwise::register,
    )?;
    family("bitwise", "Bits of integers.", bitwise::register)?;
    family(
        "indexing",
        "Taking, placing and ordering elements by indices.",
        indexing::register,
    )?;
    family(
        "reduce",
        "Making one element of many, and running sums.",
        reduce::register,
    )?;
    family(
        "shape",
        "Moving, repeating or cutting elements without computing with them.",
        shape::register,
    )?;
    family(
        "linear",
        "Products with parameters and between values.",
        linear::register,
    )?;
    family(
        "conv",
        "Windows that slide: convolutions and pooling.",
        conv::register,
    )?;
    family("norm", "Normalisations.", norm::register)?;
    family(
        "attention",
        "Softmaxes and what is made of them.",
        attention::register,
    )?;
    family("random", "Draws from streams.", random::register)?;
    family(
        "loss",
        "Losses, which are means over a batch, and the count of correct answers.",
        loss::register,
    )?;
    family(
        "optimizer",
        "Optimizer updates: pure functions of the parameter, its gradient, the optimizer's slots and coefficients that the host computes from the evaluator.",
        optimizer::register,
    )?;
    family("device", "Moving values between devices.", device::register)?;
    Ok(())
}
