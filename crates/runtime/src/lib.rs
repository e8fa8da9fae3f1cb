//! What runs models: the scheduler, demultiplexing and the journal.
//!
//! The scheduler is a state machine, `(state, time, event) -> commands`, without threads, clocks
//! or I/O. A driver feeds it real time and real events and carries its commands out; a test feeds
//! it simulated ones. It knows models, devices and assemblies by id and never looks inside them.

mod beginning;
mod command;
mod config;
mod demux;
mod driver;
mod event;
mod handle;
mod ids;
mod journal;
mod listener;
mod message;
mod plan_worker;
mod planner;
mod positional;
mod queue;
mod ranges;
mod scheduler;
mod session;
mod settings;
mod told;
pub mod verify;

pub use command::{Cause, Command, Metric, ModelEvent, PlanFault, Started, Warning};
pub use config::{BatchLimit, Config, ConfigError, Device};
pub use demux::{Admission, Demultiplexed, Ledger, demultiplex};
pub use driver::DriveError;
pub use event::{EngineEvent, Event, PlannedAssembly, Point, RawMetric, RawValue};
pub use handle::{AddPassError, Ended, Handle};
pub use ids::{AssemblyId, Attempt, DeviceId, ModelId, RequestId, Time};
pub use journal::{Journal, JournalError, Recovered, TornLine, recover, replay};
pub use listener::Listener;
pub use message::ModelStatus;
pub use planner::{DEFAULT_PIPELINE, PlanError, Planned, Planner, Trial};
pub use positional::{Entry, Report, ReportFault};
pub use scheduler::{Counts, ModelState, RunningAssembly, Scheduler, Statistics};
pub use session::{Session, run, run_with};
pub use settings::{RunOptions, Settings};
