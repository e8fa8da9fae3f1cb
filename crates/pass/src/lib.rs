//! The pass interface: a trait, a registry, pipelines as text, and a manager that checks what
//! passes did.
//!
//! A pass crate exports one function that registers its pass; nothing else lists passes.

mod execute;
mod manager;
mod options;
mod pipeline;
mod registry;

use std::fmt;
use std::sync::Arc;

use syncarp_evaluator::Evaluator;
use syncarp_ir::{BuildError, Exactness, GradientError, Model, Plan};
use thiserror::Error;

pub use execute::{Execute, ExecuteError};
pub use manager::{Manager, Observer, PassReport, PipelineError};
pub use options::{PassOptionError, PassOptions};
pub use pipeline::{Pipeline, PipelineParseError, Stage as PipelineStage};
pub use registry::{PassInfo, PassRegistry, Passes, RegisterError};

/// Where in the flow a pass may run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// On the logical graph, before placement.
    Logical,
    /// On an assembly's graphs, after placement and before differentiation is done.
    Assembly,
    /// On step graphs.
    Step,
    /// Anywhere.
    Any,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Logical => "logical",
            Stage::Assembly => "assembly",
            Stage::Step => "step",
            Stage::Any => "any",
        })
    }
}

/// Whether a pass changed anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Changed {
    /// It did.
    Yes,
    /// It did not.
    No,
}

impl Changed {
    /// `Yes` where true.
    pub fn from_bool(changed: bool) -> Changed {
        if changed { Changed::Yes } else { Changed::No }
    }
}

/// What a pass may ask and tell beside the plan.
pub struct Context<'a> {
    /// The evaluators of the plan's models, by model; empty where none are known.
    pub evaluators: &'a [Arc<Evaluator>],
    /// Whether the engine that the plan is for has a kernel for an op.
    pub has_kernel: &'a dyn Fn(&str) -> bool,
    /// What evaluates graphs as that engine does, where somebody brought it.
    pub execute: Option<&'a dyn Execute>,
    statistics: Vec<(&'static str, u64)>,
}

impl<'a> Context<'a> {
    /// A context for these evaluators and an engine with these kernels.
    pub fn new(evaluators: &'a [Arc<Evaluator>], has_kernel: &'a dyn Fn(&str) -> bool) -> Self {
        Context {
            evaluators,
            has_kernel,
            execute: None,
            statistics: Vec::new(),
        }
    }

    /// The same with what evaluates graphs.
    #[must_use]
    pub fn with_execute(self, execute: &'a dyn Execute) -> Self {
        Context {
            execute: Some(execute),
            ..self
        }
    }

    /// A context without evaluators, for an engine that has every kernel.
    pub fn bare() -> Context<'static> {
        Context::new(&[], &|_| true)
    }

    /// The evaluator of a model.
    pub fn evaluator(&self, model: Model) -> Option<&'a Arc<Evaluator>> {
        self.evaluators.get(model.index())
    }

    /// Whether a pass may rewrite once more; to be asked before each rewrite.
    pub fn may_rewrite(&mut self) -> bool {
        true
    }

    /// Counts something that the pass did.
    pub fn count(&mut self, what: &'static str, how_often: u64) {
        match self.statistics.iter_mut().find(|(w, _)| *w == what) {
            Some((_, count)) => *count += how_often,
            None => self.statistics.push((what, how_often)),
        }
    }
}

/// Why a pass could not do its work.
#[derive(Debug, Error)]
pub enum PassError {
    /// The pass emitted a node that does not type: the fault of the pass.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The plan cannot be differentiated: the fault of a model's author.
    #[error("{path}: {error}")]
    Gradient {
        /// Where in which model.
        path: String,
        /// Why.
        error: GradientError,
    },
    /// The plan lacks what the pass needs: the fault of whoever made the pipeline.
    #[error("{0}")]
    Unready(String),
}

/// A rewrite of a plan.
pub trait Pass: Send + Sync {
    /// Rewrites the plan and says whether that changed anything.
    ///
    /// # Errors
    /// Where it cannot.
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError>;
}

/// What is written about a pass.
#[derive(Clone, Copy, Debug)]
pub struct PassDoc {
    /// Its name in pipelines.
    pub name: &'static str,
    /// What it does: a first sentence, then details and options.
    pub doc: &'static str,
    /// Where it may run.
    pub stage: Stage,
    /// What it keeps.
    pub exactness: Exactness,
    /// Its options: name and meaning, with the default.
    pub options: &'static [(&'static str, &'static str)],
}
