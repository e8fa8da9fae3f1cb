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
    /// A text that says all of it, numbers to the last bit: equal texts, equal evaluators. Losses,
    /// metrics, optimizers and schedules are told apart by what they print as [`Debug`].
    ///
    /// [`Debug`]: std::fmt::Debug
    pub fn key(&self) -> String {
        format!("{self:?}")
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluator(change: impl FnOnce(&mut Evaluator)) -> String {
        let registry = EvaluatorRegistry::standard();
        let lr = ("lr".to_owned(), OptionValue::Number(0.1));
        let mut evaluator = Evaluator {
            loss: registry.loss("cross-entropy", &[]).unwrap(),
            metrics: vec![registry.metric("accuracy", &[]).unwrap()],
            optimizer: registry.optimizer("sgd", &[lr]).unwrap(),
            schedule: registry.schedule("cosine", &[]).unwrap(),
            clip_norm: None,
            epochs: 3,
            seed: 0,
        };
        change(&mut evaluator);
        evaluator.key()
    }

    #[test]
    fn a_key_tells_every_setting_apart() {
        let registry = EvaluatorRegistry::standard();
        let option = |name: &str, value: f64| (name.to_owned(), OptionValue::Number(value));
        let mut keys = vec![
            evaluator(|_| {}),
            evaluator(|e| e.seed = 1),
            evaluator(|e| e.epochs = 4),
            evaluator(|e| e.clip_norm = Some(1.0)),
            evaluator(|e| e.metrics.clear()),
            evaluator(|e| e.loss = registry.loss("mse", &[]).unwrap()),
            evaluator(|e| {
                let smoothing = [option("label-smoothing", 0.1)];
                e.loss = registry.loss("cross-entropy", &smoothing).unwrap();
            }),
            evaluator(|e| {
                let near = [option("lr", 0.1 + f64::EPSILON / 8.0)];
                e.optimizer = registry.optimizer("sgd", &near).unwrap();
            }),
            evaluator(|e| {
                let decayed = [option("lr", 0.1), option("weight-decay", 0.5)];
                e.optimizer = registry.optimizer("sgd", &decayed).unwrap();
            }),
            evaluator(|e| e.optimizer = registry.optimizer("adam", &[option("lr", 0.1)]).unwrap()),
            evaluator(|e| e.optimizer = registry.optimizer("adamw", &[option("lr", 0.1)]).unwrap()),
            evaluator(|e| {
                e.schedule = registry
                    .schedule("cosine", &[option("warmup", 1.0)])
                    .unwrap();
            }),
        ];
        assert_eq!(
            keys[0],
            evaluator(|_| {}),
            "equal evaluators have equal keys"
        );
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all, "{keys:#?}");
    }
}
