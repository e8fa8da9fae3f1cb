//! What can go wrong in an engine.

use std::sync::Arc;

use syncarp_ir::{ContentError, Value};
use syncarp_pass::PipelineError;
use thiserror::Error;

use crate::kernel::KernelError;

/// Why an engine cannot run something.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A shape is not known once the inputs are: the fault of the model's author.
    #[error("the shape of {what} is not known; bind the model's inputs")]
    Unbound {
        /// What has no shape.
        what: String,
    },
    /// The engine has no kernel, or the kernel refuses: the fault of the model's author.
    #[error("{path}: {error}")]
    Kernel {
        /// Where in which model.
        path: String,
        /// Why.
        error: KernelError,
    },
    /// A state's data is nowhere: the fault of whoever handed the plan over.
    #[error("the data of content {hash} is not beside the plan")]
    NoContent {
        /// The content.
        hash: Arc<str>,
    },
    /// A state's data cannot be read any more: of whoever changed the file that it lies in.
    #[error(transparent)]
    Unreadable(#[from] ContentError),
    /// A state's data does not fit it: the fault of whoever handed the plan over.
    #[error("{state} takes {want} numbers, {len} of another kind or count are given")]
    Content {
        /// The state.
        state: String,
        /// How many it takes.
        want: usize,
        /// How many are given.
        len: usize,
    },
    /// An input was not given, or does not fit: the fault of the caller.
    #[error("input `{input}`: {message}")]
    Input {
        /// The input.
        input: String,
        /// What is wrong.
        message: String,
    },
    /// The plan lacks a graph.
    #[error("the plan has no graph {0:?}")]
    NoGraph(String),
    /// Compiling the assembly failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The data stream failed: the fault of whoever made it.
    #[error(transparent)]
    Data(#[from] syncarp_data::DataError),
    /// A kernel panicked: our own bug.
    #[error("a kernel panicked; this is a bug in the engine")]
    Panic,
    /// An output is asked for that is not there.
    #[error("{0} is no value of the graph")]
    NoValue(Value),
}
