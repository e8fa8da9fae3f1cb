//! What comes out of the scheduler: everything that is to be done, as data.

use crate::{AssemblyId, Attempt, DeviceId, ModelId, Point, ReportFault, RequestId, Time};

/// Something to be done. Commands are to be carried out in their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Ask the planner to make assemblies of these models on these devices, and to answer with
    /// [`Event::Planned`](crate::Event::Planned) or
    /// [`Event::PlanFailed`](crate::Event::PlanFailed). One request is under way at a time, and
    /// the devices are kept for it until it is answered.
    Plan {
        /// What the answer has to name.
        request: RequestId,
        /// The models, first in line first.
        models: Vec<ModelId>,
        /// The devices that may be used, in ascending order. No others are free.
        devices: Vec<DeviceId>,
        /// How many assemblies may be made; at least one.
        max_assemblies: usize,
        /// Whether every model has to be alone in its assembly.
        alone: bool,
    },
    /// Run an assembly of a plan.
    Start {
        /// The name of this run in all further events and commands.
        assembly: AssemblyId,
        /// The request whose answer holds the assembly ...
        request: RequestId,
        /// ... and the assembly's index in that answer. What has no `Start` may be thrown away.
        index: usize,
        /// The models to train, in the planner's order.
        models: Vec<Started>,
        /// Models of the plan that were stopped while it was made; they are not to be trained.
        without: Vec<ModelId>,
        /// The devices, which are the assembly's until it ends.
        devices: Vec<DeviceId>,
    },
    /// Stop one model of a running assembly; the others go on.
    StopModel {
        /// Where it runs.
        assembly: AssemblyId,
        /// Which model.
        model: ModelId,
    },
    /// Stop a whole assembly. Its devices are free once it says that it has ended.
    StopAssembly {
        /// Which assembly.
        assembly: AssemblyId,
    },
    /// Tell whoever listens to a model.
    Deliver {
        /// Whose event it is.
        model: ModelId,
        /// The event. Each is delivered once, however often the model is started.
        event: ModelEvent,
    },
    /// Send [`Event::Tick`](crate::Event::Tick) at this time. Replaces the time asked for before.
    WakeAt {
        /// When.
        time: Time,
    },
    /// Something came that should not have come. It was counted and had no other effect than the
    /// warning says.
    Warn {
        /// What it was.
        warning: Warning,
    },
    /// Submission is closed and every model has had its terminal event. Assemblies may still be
    /// winding down.
    Finished,
}

/// A model that is started, and for the how-manieth time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// Which model.
    pub model: ModelId,
    /// Counts from 1.
    pub attempt: Attempt,
}

/// What a model's listener gets to know.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// The model's first attempt has begun.
    Started {
        /// The attempt that began.
        attempt: Attempt,
    },
    /// A measurement.
    Metric(Metric),
    /// A checkpoint can be read.
    Checkpoint {
        /// The attempt that wrote it.
        attempt: Attempt,
        /// How many epochs are done in it.
        epoch: u64,
    },
    /// Terminal: trained to the end.
    Finished {
        /// The attempt that got there.
        attempt: Attempt,
    },
    /// Terminal: it will not be tried again.
    Failed {
        /// Why.
        cause: Cause,
    },
    /// Terminal: a user or a shutdown stopped it.
    Stopped,
}

impl ModelEvent {
    /// Whether this is the last event of its model.
    pub fn is_terminal(&self) -> bool {
        match self {
            ModelEvent::Finished { .. } | ModelEvent::Failed { .. } | ModelEvent::Stopped => true,
            ModelEvent::Started { .. } | ModelEvent::Metric(_) | ModelEvent::Checkpoint { .. } => {
                false
            }
        }
    }
}

/// A measurement of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The attempt that measured it.
    pub attempt: Attempt,
    /// The metric's name.
    pub name: String,
    /// When in the training it was measured.
    pub at: Point,
    /// The value; finite if it is a final one.
    pub value: f64,
}

/// Why a model failed for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// There is nothing to run on; the configuration is at fault.
    #[error("no devices are configured, so the model can never run")]
    NoDevices,
    /// The submitter is at fault: it had said that there would be no more.
    #[error("the model was submitted after submission had been closed")]
    Closed,
    /// The planner was offered every device and placed nothing: the model is too large for them.
    #[error("the model does not fit on the configured devices, even with all of them free")]
    DoesNotFit,
    /// The planner failed on this model, or on it alone.
    #[error("planning failed: {message}")]
    Planning {
        /// The planner's words.
        message: String,
    },
    /// The planner was offered every device and its answer was unusable.
    #[error("the planner gave an unusable plan: {fault}")]
    BadPlan {
        /// What was wrong with it.
        fault: PlanFault,
    },
    /// The engine says that this model is at fault.
    #[error("training failed: {message}")]
    Training {
        /// The engine's words.
        message: String,
    },
    /// The assembly broke down with no other model in it.
    #[error("the engine failed with the model alone in its assembly: {message}")]
    Engine {
        /// The engine's words.
        message: String,
    },
    /// The engine is at fault: it ended the model's assembly and never said what became of it.
    #[error("the engine ended the assembly without saying what became of its only model")]
    NoOutcome,
    /// A result that is no number to judge by.
    #[error("metric `{name}` at {at} is not finite")]
    NonFiniteMetric {
        /// The metric.
        name: String,
        /// Where in the training.
        at: Point,
    },
    /// The evaluator or the engine reported something that is not a number.
    #[error("metric `{name}` at {at} is not a number but {found}")]
    WrongType {
        /// The metric.
        name: String,
        /// Where in the training.
        at: Point,
        /// What it was.
        found: String,
    },
}

/// An event that did not fit the state, or an answer that broke the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The submitter is at fault.
    #[error("{model} was submitted before; the second submission is ignored")]
    AlreadySubmitted {
        /// Which model.
        model: ModelId,
    },
    /// A user named a model that nobody submitted.
    #[error("there is no {model} to stop")]
    UnknownModel {
        /// The name.
        model: ModelId,
    },
    /// Too late.
    #[error("{model} had ended before it was to be stopped")]
    AlreadyEnded {
        /// Which model.
        model: ModelId,
    },
    /// Closing twice, or after a shutdown.
    #[error("submission was closed before")]
    AlreadyClosed,
    /// A second shutdown.
    #[error("the scheduler was shut down before")]
    AlreadyShutDown,
    /// The driver's clock is at fault; the later time is kept.
    #[error("time went back from {from} to {to}")]
    TimeWentBack {
        /// The time before.
        from: Time,
        /// The time given.
        to: Time,
    },
    /// An answer to a question that was not asked, or a second answer.
    #[error("{request} is not waiting for an answer")]
    UnknownRequest {
        /// The request named.
        request: RequestId,
    },
    /// The planner is at fault; the part of the plan in question was not used.
    #[error("the plan for {request} is wrong: {fault}")]
    BadPlan {
        /// The request answered.
        request: RequestId,
        /// What is wrong.
        fault: PlanFault,
    },
    /// An event of an assembly that was never started.
    #[error("{assembly} was never started")]
    UnknownAssembly {
        /// The name.
        assembly: AssemblyId,
    },
    /// An event of an assembly that has ended.
    #[error("{assembly} sent an event after its end")]
    EndedAssembly {
        /// Which assembly.
        assembly: AssemblyId,
    },
    /// An event about a model that is elsewhere or nowhere.
    #[error("{assembly} sent an event of {model}, which is not in it")]
    NotInAssembly {
        /// Which assembly.
        assembly: AssemblyId,
        /// Which model.
        model: ModelId,
    },
    /// An event about a model that has ended, a second end included.
    #[error("{assembly} sent an event of {model} after that model's end")]
    LateEvent {
        /// Which assembly.
        assembly: AssemblyId,
        /// Which model.
        model: ModelId,
    },
    /// An event keyed by another attempt than the one that runs.
    #[error("{assembly} sent an event of {model} for {found}, but runs {expected}")]
    WrongAttempt {
        /// Which assembly.
        assembly: AssemblyId,
        /// Which model.
        model: ModelId,
        /// The attempt named.
        found: Attempt,
        /// The attempt that runs.
        expected: Attempt,
    },
    /// A second start of one attempt.
    #[error("{assembly} started {model} twice")]
    RepeatedStart {
        /// Which assembly.
        assembly: AssemblyId,
        /// Which model.
        model: ModelId,
    },
    /// The same measurement twice in a first attempt.
    #[error("{model} reported metric `{name}` at {at} twice")]
    RepeatedMetric {
        /// Which model.
        model: ModelId,
        /// The metric.
        name: String,
        /// Where in the training.
        at: Point,
    },
    /// The same checkpoint twice in a first attempt.
    #[error("{model} reported its checkpoint of epoch {epoch} twice")]
    RepeatedCheckpoint {
        /// Which model.
        model: ModelId,
        /// The epoch.
        epoch: u64,
    },
    /// The engine is at fault; its assembly is stopped, and the models in it are retried or fail.
    #[error("{assembly} sent a wrong report: {fault}")]
    BadReport {
        /// Which assembly.
        assembly: AssemblyId,
        /// What is wrong with the report.
        fault: ReportFault,
    },
    /// The engine is at fault; the model is retried or fails.
    #[error("{assembly} finished without saying what became of {model}")]
    NoOutcome {
        /// Which assembly.
        assembly: AssemblyId,
        /// Which model.
        model: ModelId,
    },
}

/// What can be wrong with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// An assembly that computes nothing.
    #[error("assembly {index} has no models")]
    NoModels {
        /// The assembly's index in the plan.
        index: usize,
    },
    /// An assembly that runs nowhere.
    #[error("assembly {index} has no devices")]
    NoDevices {
        /// The assembly's index in the plan.
        index: usize,
    },
    /// A model that was not in the request, or occurs twice in the plan.
    #[error("{model} was not asked for or occurs twice")]
    Model {
        /// Which model.
        model: ModelId,
    },
    /// A device that was not offered, or occurs twice in the plan.
    #[error("{device} was not offered or is used twice")]
    Device {
        /// Which device.
        device: DeviceId,
    },
    /// More assemblies than may run.
    #[error("assembly {index} is one more than may run")]
    TooMany {
        /// The assembly's index in the plan.
        index: usize,
    },
    /// Models merged that had to be alone.
    #[error("assembly {index} merges models that had to be alone")]
    NotAlone {
        /// The assembly's index in the plan.
        index: usize,
    },
    /// A model that is neither placed nor left over; it is taken for left over.
    #[error("{model} is neither placed nor left over")]
    Missing {
        /// Which model.
        model: ModelId,
    },
}
