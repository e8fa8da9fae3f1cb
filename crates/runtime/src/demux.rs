//! Demultiplexing: from an assembly's raw metrics to deliveries for each model, exactly once.
//!
//! Everything travels keyed by model, so that the order and the number of an assembly's models
//! never matter, and so that one model's bad measurement concerns no other.

use std::collections::BTreeMap;

use crate::ranges::Ranges;
use crate::{Cause, Metric, ModelId, Point, RawMetric, RawValue, Warning};

/// What has been delivered for every model that is still to end, whatever the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    models: BTreeMap<ModelId, Delivered>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Delivered {
    started: bool,
    metrics: BTreeMap<Box<str>, Series>,
    checkpoints: Ranges,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Series {
    steps: Ranges,
    epochs: Ranges,
    last: bool,
}

impl Ledger {
    /// Notes that a measurement is delivered; false if it was before.
    pub fn admit_metric(&mut self, model: ModelId, name: &str, at: Point) -> bool {
        let metrics = &mut self.models.entry(model).or_default().metrics;
        let series = match metrics.get_mut(name) {
            Some(series) => series,
            None => metrics.entry(name.into()).or_default(),
        };
        match at {
            Point::Step(step) => series.steps.insert(step),
            Point::Epoch(epoch) => series.epochs.insert(epoch),
            Point::Final => !std::mem::replace(&mut series.last, true),
        }
    }

    /// Notes that a checkpoint is delivered; false if it was before.
    pub fn admit_checkpoint(&mut self, model: ModelId, epoch: u64) -> bool {
        self.models
            .entry(model)
            .or_default()
            .checkpoints
            .insert(epoch)
    }

    /// Notes that a model's start is delivered; false if it was before.
    pub fn admit_start(&mut self, model: ModelId) -> bool {
        !std::mem::replace(&mut self.models.entry(model).or_default().started, true)
    }

    /// Drops what is known of a model. Right only once the model has ended, because nothing of it
    /// is delivered after that.
    pub fn forget(&mut self, model: ModelId) {
        self.models.remove(&model);
    }

    /// How many models the ledger holds something about.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether the ledger holds nothing.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }
}

/// Whether a raw metric may be considered at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It comes from the running attempt of a model that has not ended.
    Expected,
    /// It was under way when its model was told to stop, which is nobody's fault.
    Overtaken,
    /// It should not have come.
    Unexpected(Warning),
}

/// An assembly's metrics, taken apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Demultiplexed {
    /// What to hand on, in the engine's order.
    pub deliveries: Vec<(ModelId, Metric)>,
    /// The models that a measurement fails, each with its first cause, in the order of their ids.
    /// Their good measurements are among the deliveries all the same.
    pub failures: BTreeMap<ModelId, Cause>,
    /// What should not have come.
    pub warnings: Vec<Warning>,
    /// How many were dropped without a warning: repetitions by a later attempt, and overtaken.
    pub suppressed: u64,
}

/// Takes an assembly's metrics apart and notes in the ledger what is to be delivered.
///
/// `admission` says of each metric whether it fits the state of its model. A value that is not a
/// number, and a final one that is not finite, fail their model. A value on the way that is not
/// finite is handed on as it is: whether that ends the training is the engine's to say.
pub fn demultiplex(
    metrics: Vec<RawMetric>,
    ledger: &mut Ledger,
    admission: impl Fn(&RawMetric) -> Admission,
) -> Demultiplexed {
    let mut out = Demultiplexed::default();
    for raw in metrics {
        match admission(&raw) {
            Admission::Expected => {}
            Admission::Overtaken => {
                out.suppressed += 1;
                continue;
            }
            Admission::Unexpected(warning) => {
                out.warnings.push(warning);
                continue;
            }
        }
        let RawMetric {
            model,
            attempt,
            name,
            at,
            value,
        } = raw;
        let value = match value {
            RawValue::Number(value) if at == Point::Final && !value.is_finite() => {
                out.failures
                    .entry(model)
                    .or_insert(Cause::NonFiniteMetric { name, at });
                continue;
            }
            RawValue::Other(found) => {
                out.failures
                    .entry(model)
                    .or_insert(Cause::WrongType { name, at, found });
                continue;
            }
            RawValue::Number(value) => value,
        };
        if ledger.admit_metric(model, &name, at) {
            out.deliveries.push((
                model,
                Metric {
                    attempt,
                    name,
                    at,
                    value,
                },
            ));
        } else if attempt.0 > 1 {
            // A later attempt trains the same model again, so repetitions are what it should send.
            out.suppressed += 1;
        } else {
            out.warnings
                .push(Warning::RepeatedMetric { model, name, at });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Attempt;

    fn raw(model: u32, attempt: u32, name: &str, at: Point, value: f64) -> RawMetric {
        RawMetric {
            model: ModelId(model),
            attempt: Attempt(attempt),
            name: name.into(),
            at,
            value: RawValue::Number(value),
        }
    }

    fn names(out: &Demultiplexed) -> Vec<(u32, &str, Point)> {
        out.deliveries
            .iter()
            .map(|(model, m)| (model.0, m.name.as_str(), m.at))
            .collect()
    }

    #[test]
    fn one_bad_value_fails_its_model_and_no_other() {
        let mut ledger = Ledger::default();
        let metrics = vec![
            raw(0, 1, "loss", Point::Final, f64::NAN),
            raw(1, 1, "loss", Point::Final, 0.5),
            raw(0, 1, "accuracy", Point::Final, 0.9),
            raw(2, 1, "loss", Point::Final, f64::NEG_INFINITY),
            RawMetric {
                value: RawValue::Other("a list".into()),
                ..raw(3, 1, "loss", Point::Epoch(1), 0.0)
            },
        ];
        let out = demultiplex(metrics, &mut ledger, |_| Admission::Expected);
        assert_eq!(
            names(&out),
            [(1, "loss", Point::Final), (0, "accuracy", Point::Final)]
        );
        let failed: Vec<(u32, String)> = out
            .failures
            .iter()
            .map(|(m, cause)| (m.0, cause.to_string()))
            .collect();
        assert_eq!(
            failed,
            [
                (0, "metric `loss` at the end is not finite".to_owned()),
                (2, "metric `loss` at the end is not finite".to_owned()),
                (
                    3,
                    "metric `loss` at epoch 1 is not a number but a list".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_value_on_the_way_may_be_anything() {
        let mut ledger = Ledger::default();
        let metrics = vec![raw(0, 1, "loss", Point::Step(3), f64::INFINITY)];
        let out = demultiplex(metrics, &mut ledger, |_| Admission::Expected);
        assert_eq!(names(&out), [(0, "loss", Point::Step(3))]);
        assert!(out.failures.is_empty());
    }

    #[test]
    fn a_later_attempt_repeats_nothing() {
        let mut ledger = Ledger::default();
        let all = |attempt: u32, epochs: u64| -> Vec<RawMetric> {
            (1..=epochs)
                .map(|e| raw(7, attempt, "loss", Point::Epoch(e), 0.1))
                .collect()
        };
        let first = demultiplex(all(1, 3), &mut ledger, |_| Admission::Expected);
        let second = demultiplex(all(2, 5), &mut ledger, |_| Admission::Expected);
        assert_eq!(first.deliveries.len(), 3);
        let epochs = [(7, "loss", Point::Epoch(4)), (7, "loss", Point::Epoch(5))];
        assert_eq!(names(&second), epochs);
        assert_eq!((second.suppressed, second.warnings.len()), (3, 0));
    }

    #[test]
    fn the_same_name_at_a_step_an_epoch_and_the_end_is_three_measurements() {
        let mut ledger = Ledger::default();
        let points = [
            Point::Step(1),
            Point::Epoch(1),
            Point::Final,
            Point::Step(1),
        ];
        let metrics = points
            .iter()
            .map(|&at| raw(0, 1, "loss", at, 1.0))
            .collect();
        let out = demultiplex(metrics, &mut ledger, |_| Admission::Expected);
        assert_eq!(out.deliveries.len(), 3);
        let repeated = Warning::RepeatedMetric {
            model: ModelId(0),
            name: "loss".into(),
            at: Point::Step(1),
        };
        assert_eq!(out.warnings, [repeated]);
    }

    #[test]
    fn what_is_not_admitted_leaves_no_trace() {
        let mut ledger = Ledger::default();
        let warning = Warning::UnknownModel { model: ModelId(0) };
        let metrics = || vec![raw(0, 1, "loss", Point::Epoch(1), 1.0)];
        let refused = demultiplex(metrics(), &mut ledger, |_| {
            Admission::Unexpected(warning.clone())
        });
        assert_eq!(refused.warnings, std::slice::from_ref(&warning));
        let overtaken = demultiplex(metrics(), &mut ledger, |_| Admission::Overtaken);
        assert_eq!((overtaken.suppressed, overtaken.deliveries.len()), (1, 0));
        assert!(ledger.is_empty());
    }
}
