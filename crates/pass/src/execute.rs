//! What a pass may ask of an engine: numbers.

use syncarp_ir::{Plan, TensorData};
use thiserror::Error;

/// Why a graph could not be evaluated: an op without a kernel, or one that refuses.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct ExecuteError(pub String);

/// Evaluates graphs as the engine that the plan is for does, with its rounding.
pub trait Execute: Send + Sync {
    /// The elements of a graph's outputs, in their order. The graph has no inputs and reads no states
    /// but those of the plan, at their first values.
    ///
    /// # Errors
    /// It cannot be evaluated.
    fn evaluate(&self, plan: &Plan, graph: &str) -> Result<Vec<TensorData>, ExecuteError>;
}
