//! Fusing models into one logical graph with provenance, and taking it apart again.

mod bind;
mod classes;
mod fuse;
mod needs;
mod project;

use std::sync::Arc;

use syncarp_evaluator::Evaluator;
use syncarp_ir::Plan;

pub use bind::{BindError, bind_inputs};
pub use classes::evaluator_classes;
pub use fuse::{FuseError, fuse};
pub use project::{project, split};

/// A submitted model: its graphs and how they are trained and judged.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its name.
    pub name: Arc<str>,
    /// A plan of this one model.
    pub plan: Arc<Plan>,
    /// How it is trained and judged.
    pub evaluator: Arc<Evaluator>,
    /// What its data stream is; equal keys, equal streams.
    pub data: Arc<str>,
}
