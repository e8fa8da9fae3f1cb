//! Which submissions are trained and judged alike.

use rustc_hash::FxHashMap;

use crate::Submission;

/// A number for each submission: equal numbers, equal evaluators and equal data streams. Numbers
/// count up from 0 in order of first appearance.
pub fn evaluator_classes(submissions: &[Submission]) -> Vec<usize> {
    let mut classes: FxHashMap<(String, &str), usize> = FxHashMap::default();
    submissions
        .iter()
        .map(|submission| {
            let next = classes.len();
            let key = (submission.evaluator.key(), &*submission.data);
            *classes.entry(key).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use syncarp_evaluator::{Evaluator, EvaluatorRegistry, OptionValue};
    use syncarp_ir::Plan;

    use super::*;

    #[test]
    fn equal_evaluators_on_equal_streams_are_one_class() {
        let submission = |rate: f64, seed: u64, data: &str| {
            // Each has a registry and objects of its own: equality is by what they say.
            let registry = EvaluatorRegistry::standard();
            let lr = ("lr".to_owned(), OptionValue::Number(rate));
            Submission {
                name: "a".into(),
                plan: Arc::new(Plan::default()),
                evaluator: Arc::new(Evaluator {
                    loss: registry.loss("mse", &[]).unwrap(),
                    metrics: vec![registry.metric("mae", &[]).unwrap()],
                    optimizer: registry.optimizer("adam", &[lr]).unwrap(),
                    schedule: registry.schedule("cosine", &[]).unwrap(),
                    clip_norm: None,
                    epochs: 1,
                    seed,
                }),
                data: data.into(),
            }
        };
        let submissions = [
            submission(0.1, 0, "d"),
            submission(0.2, 0, "d"),
            submission(0.1, 0, "d"),
            submission(0.1, 1, "d"),
            submission(0.1, 0, "e"),
            submission(0.2, 0, "d"),
        ];
        assert_eq!(evaluator_classes(&submissions), [0, 1, 0, 2, 3, 1]);
    }
}
