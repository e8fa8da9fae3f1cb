//! From what an engine tells about an assembly's models by their place to what the scheduler and
//! listeners hear about models by their id.

use std::sync::Arc;

use syncarp_engine::{Event as Told, Snapshot};

use crate::{EngineEvent, ModelId, Point, RawMetric, RawValue, Started};

/// What becomes of something that an engine told.
pub(crate) enum Heard {
    /// The scheduler decides about it.
    Event(EngineEvent),
    /// The same, and these are the states that the checkpoint holds.
    Checkpoint {
        event: EngineEvent,
        model: ModelId,
        best: Option<Arc<Snapshot>>,
        last: Arc<Snapshot>,
    },
    /// Only for showing.
    Progress { step: u64, steps: u64 },
    /// Only for comparing.
    Loss {
        model: ModelId,
        step: u64,
        loss: f64,
    },
}

/// Keys an event by model and attempt. `models` are those of the assembly in its order; none for
/// an event about a place that the assembly does not have.
pub(crate) fn hear(models: &[Started], told: Told) -> Option<Heard> {
    let of = |place: usize| models.get(place).copied();
    let metric = |Started { model, attempt }: Started, name: String, at: Point, value: f64| {
        let value = RawValue::Number(value);
        RawMetric {
            model,
            attempt,
            name,
            at,
            value,
        }
    };
    Some(Heard::Event(match told {
        Told::Started { model } => EngineEvent::Started {
            model: of(model)?.model,
        },
        Told::Progress { step, steps } => return Some(Heard::Progress { step, steps }),
        Told::Loss { model, step, loss } => {
            let model = of(model)?.model;
            return Some(Heard::Loss { model, step, loss });
        }
        Told::Epoch { model, report } => {
            let (whose, at) = (of(model)?, Point::Epoch(report.epoch));
            let loss = metric(whose, "train_loss".to_owned(), at, report.train_loss);
            let rest = report.metrics.iter();
            let rest = rest.map(|(name, value)| metric(whose, name.to_string(), at, *value));
            EngineEvent::Metrics {
                metrics: std::iter::once(loss).chain(rest).collect(),
            }
        }
        Told::Test { model, metrics } => {
            let whose = of(model)?;
            let named = metrics
                .iter()
                .map(|(name, value)| metric(whose, format!("test_{name}"), Point::Final, *value));
            EngineEvent::Metrics {
                metrics: named.collect(),
            }
        }
        Told::Checkpoint { model, best, last } => {
            let Started { model, attempt } = of(model)?;
            let epoch = last.epoch;
            let event = EngineEvent::CheckpointWritten {
                model,
                attempt,
                epoch,
            };
            return Some(Heard::Checkpoint {
                event,
                model,
                best,
                last,
            });
        }
        Told::Finished { model } => EngineEvent::ModelFinished {
            model: of(model)?.model,
        },
        Told::Failed { model, cause } => EngineEvent::ModelFailed {
            model: of(model)?.model,
            message: cause,
        },
        Told::AssemblyFailed { cause } => EngineEvent::AssemblyFailed { message: cause },
        Told::AssemblyFinished => EngineEvent::AssemblyFinished,
    }))
}
