//! What goes into the scheduler: everything that happens, as data.
//!
//! These types are what the journal stores, so their serialised form is a file format.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AssemblyId, Attempt, DeviceId, ModelId, Report, RequestId};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A model was submitted. May come at any time.
    Submit {
        /// A number that was not submitted before.
        model: ModelId,
    },
    /// Models were submitted together: they are company for each other, however short the waiting
    /// time, and stand in line in this order.
    SubmitAll {
        /// Numbers that were not submitted before.
        models: Vec<ModelId>,
    },
    /// No more submissions will come, so that no batch need wait for company.
    Close,
    /// The planner's answer to [`Command::Plan`](crate::Command::Plan).
    Planned {
        /// The request that this answers.
        request: RequestId,
        /// What to start, in this order. No device and no model may occur twice.
        assemblies: Vec<PlannedAssembly>,
        /// The models that did not fit on the devices offered.
        leftover: Vec<ModelId>,
    },
    /// The planner could not make anything of a request.
    PlanFailed {
        /// The request that this answers.
        request: RequestId,
        /// The model at fault, where one is known.
        model: Option<ModelId>,
        /// What went wrong, for people.
        message: String,
    },
    /// The engine that runs an assembly has something to say.
    Engine {
        /// Which assembly.
        assembly: AssemblyId,
        /// What it says.
        event: EngineEvent,
    },
    /// A user wants a model to stop.
    StopModel {
        /// Which model.
        model: ModelId,
    },
    /// Everything is to stop: every model that has no terminal event yet gets one.
    Shutdown,
    /// The process was started anew and its state replayed: whatever was being planned or run
    /// then is lost by nobody's fault, and is queued again, first in line.
    Restarted,
    /// Time has passed.
    Tick,
}

/// One assembly of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAssembly {
    /// The models in it, in the planner's order.
    pub models: Vec<ModelId>,
    /// The devices that it needs, of those offered.
    pub devices: Vec<DeviceId>,
}

/// What an engine reports about one assembly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineEvent {
    /// A model's training has begun.
    Started {
        /// Which model.
        model: ModelId,
    },
    /// Metrics of any number of the assembly's models, keyed by model, in any order.
    Metrics {
        /// The measurements.
        metrics: Vec<RawMetric>,
    },
    /// Measurements of all of the assembly's models, by their places in it and not by their ids.
    /// A report of the wrong shape breaks the assembly up, because nobody knows what is whose.
    Report {
        /// When in the training all of it was measured.
        at: Point,
        /// One entry a model, in the plan's order.
        report: Report,
    },
    /// A checkpoint is complete and readable.
    CheckpointWritten {
        /// Whose.
        model: ModelId,
        /// The attempt that wrote it.
        attempt: Attempt,
        /// How many epochs are done in it.
        epoch: u64,
    },
    /// A model has been trained to its end.
    ModelFinished {
        /// Which model.
        model: ModelId,
    },
    /// A model failed by its own fault, such as a loss that is not finite. The others go on.
    ModelFailed {
        /// The culprit.
        model: ModelId,
        /// What went wrong, for people.
        message: String,
    },
    /// The whole assembly broke down and nobody knows by whose fault. It has ended.
    AssemblyFailed {
        /// What went wrong, for people.
        message: String,
    },
    /// The assembly has ended. Every model of it should have had its own end before.
    AssemblyFinished,
}

/// One measurement as an engine reports it, not yet judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawMetric {
    /// Whose measurement it is.
    pub model: ModelId,
    /// The attempt that measured it.
    pub attempt: Attempt,
    /// The metric's name.
    pub name: String,
    /// When in the training it was measured.
    pub at: Point,
    /// What was measured.
    pub value: RawValue,
}

/// A point of a training. Together with a name it is the identity of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// After so many steps.
    Step(u64),
    /// After so many epochs.
    Epoch(u64),
    /// The result by which the model is judged.
    Final,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Point::Step(step) => write!(f, "step {step}"),
            Point::Epoch(epoch) => write!(f, "epoch {epoch}"),
            Point::Final => write!(f, "the end"),
        }
    }
}

/// What an engine gave as a measurement's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawValue {
    /// A number, finite or not.
    Number(#[serde(with = "exact")] f64),
    /// Something else; the text says what, for people.
    Other(String),
}

/// Numbers as text, because JSON has no NaN and no infinities, and because a journal has to give
/// back the very bits that went in. Rust's own shortest decimal form does.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{value:?}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse()
            .map_err(|_| D::Error::custom(format_args!("`{text}` is not a number")))
    }
}
