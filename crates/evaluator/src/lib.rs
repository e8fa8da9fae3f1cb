//! How a model is trained and judged: losses, metrics, optimizers and schedules, each a registered
//! entry that emits IR and computes on the host what is not worth a node.

mod judge;
mod loss;
mod metric;
mod optimizer;
mod options;
mod registry;
mod schedule;

use std::sync::Arc;

pub use judge::{JudgeError, TARGET, judge};
pub use loss::Loss;
pub use metric::Metric;
pub use optimizer::Optimizer;
pub use options::{OptionError, OptionValue, Options};
pub use registry::{EvaluatorRegistry, RegisterError};
pub use schedule::{Progress, Schedule};

/// How one model is trained and judged. Its data stream is named beside it, since models may be
/// merged whenever that is equal, whatever differs here.
#[derive(Clone, Debug)]
pub struct Evaluator {
    /// What is minimised.
    pub loss: Arc<dyn Loss>,
    /// What is reported beside the loss.
    pub metrics: Vec<Arc<dyn Metric>>,
    /// How parameters move.
    pub optimizer: Arc<dyn Optimizer>,
    /// How the learning rate moves.
    pub schedule: Arc<dyn Schedule>,
    /// The largest norm of all gradients together, where they are clipped.
    pub clip_norm: Option<f64>,
    /// How many times the training part is seen.
    pub epochs: u64,
    /// The seed of initial weights and of random ops.
    pub seed: u64,
}

/// The name of the coefficient that holds the clipping norm.
pub const CLIP_NORM: &str = "clip_norm";

impl Evaluator {
    /// The names of the coefficients of a step, the optimizer's first.
    pub fn coefficient_names(&self) -> Vec<&'static str> {
        let mut names = self.optimizer.coefficients().to_vec();
        names.extend(self.clip_norm.map(|_| CLIP_NORM));
        names
    }

    /// The coefficients of the step to come, in the order of [`Evaluator::coefficient_names`].
    pub fn coefficients(&self, at: Progress, out: &mut Vec<f64>) {
        let rate = self.schedule.rate(self.optimizer.rate(), at);
        self.optimizer.values(at.step, rate, out);
        out.extend(self.clip_norm);
    }
}
