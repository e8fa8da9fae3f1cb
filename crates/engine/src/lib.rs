//! The engine trait and the embedded engine.
//!
//! [`Engine`] is what executes assemblies. [`Embedded`] does so on this machine's cores: it readies
//! an assembly with passes, compiles its step graph with a static memory plan and trains.

mod embedded;
mod engine;
mod error;
mod evaluate;
mod execute;
pub mod kernel;
pub mod kernels;
mod link;
mod memory;
mod program;
mod programs;
mod real;
mod requests;
mod schedule;
mod segment;
mod state;
mod team;
mod train;

pub use embedded::{ASSEMBLY_PIPELINE, Embedded};
pub use engine::{Budget, Engine, EpochReport, Event, Job, NamedTensor, Sink, Snapshot};
pub use error::EngineError;
pub use evaluate::{Results, Tensor, evaluate};
pub use real::Real;
