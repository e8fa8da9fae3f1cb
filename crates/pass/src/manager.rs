//! Running pipelines: every pass is checked, timed and counted from outside.

use std::time::{Duration, Instant};

use syncarp_ir::{Plan, Tier, Violations, check};
use thiserror::Error;

use crate::pipeline::PipelineParseError;
use crate::registry::{PassRegistry, Passes};
use crate::{Changed, Context, PassDoc, PassError};

/// What one pass did.
#[derive(Clone, Debug)]
pub struct PassReport {
    /// The pass.
    pub name: &'static str,
    /// Whether it changed anything.
    pub changed: bool,
    /// What it counted.
    pub statistics: Vec<(&'static str, u64)>,
    /// Nodes of all graphs before and after.
    pub nodes: (usize, usize),
    /// How long it took. Never part of any decision.
    pub time: Duration,
}

/// Looks on while a pipeline runs.
pub trait Observer {
    /// A pass is about to run.
    fn before(&mut self, _pass: &PassDoc, _plan: &Plan) {}
    /// A pass ran.
    fn after(&mut self, _report: &PassReport, _plan: &Plan) {}
}

impl Observer for () {}

/// Why a pipeline stopped.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The text is wrong: the fault of whoever wrote the pipeline.
    #[error(transparent)]
    Parse(#[from] PipelineParseError),
    /// A pass gave up.
    #[error("pass `{pass}`: {error}")]
    Pass {
        /// The pass.
        pass: &'static str,
        /// Why.
        error: PassError,
    },
    /// A pass broke the plan: the fault of the pass.
    #[error("pass `{pass}` broke the plan: {violations}")]
    Broken {
        /// The pass.
        pass: &'static str,
        /// What is wrong now.
        violations: Violations,
    },
    /// A pass changed what the models give back: the fault of the pass.
    #[error("pass `{pass}` changed the interface of graph {graph:?}")]
    Interface {
        /// The pass.
        pass: &'static str,
        /// The graph.
        graph: String,
    },
}

/// Runs pipelines.
pub struct Manager {
    passes: Passes,
    verify: bool,
}

impl Manager {
    /// A manager of a pipeline. The verifier runs after every pass in debug builds.
    ///
    /// # Errors
    /// Where the text is wrong.
    pub fn new(registry: &PassRegistry, pipeline: &str) -> Result<Self, PipelineParseError> {
        Ok(Manager {
            passes: registry.resolve(pipeline)?,
            verify: cfg!(debug_assertions),
        })
    }

    /// Whether the verifier runs after every pass.
    pub fn set_verify(&mut self, verify: bool) {
        self.verify = verify;
    }

    /// Runs the pipeline.
    ///
    /// # Errors
    /// Where a pass gives up, breaks the plan or changes what the models give back.
    pub fn run(
        &self,
        plan: &mut Plan,
        cx: &mut Context<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<PassReport>, PipelineError> {
        let mut reports = Vec::new();
        let mut interface = plan.interface();
        for (doc, pass) in &self.passes {
            observer.before(doc, plan);
            let nodes = |plan: &Plan| plan.graphs.iter().map(|(_, g)| g.len()).sum();
            let before = nodes(plan);
            cx.statistics.clear();
            let start = Instant::now();
            let changed = pass.run(plan, cx).map_err(|error| PipelineError::Pass {
                pass: doc.name,
                error,
            })?;
            let time = start.elapsed();
            let after = plan.interface();
            for (graph, outputs) in &interface {
                // A pass may add graphs, and may take one away whose work another now does.
                let now = after.iter().find(|(name, _)| name == graph);
                if now.is_some_and(|(_, now)| now != outputs) {
                    let graph = graph.to_string();
                    return Err(PipelineError::Interface {
                        pass: doc.name,
                        graph,
                    });
                }
            }
            interface = after;
            let tier = if self.verify { Tier::Full } else { Tier::Cheap };
            check(plan, tier).map_err(|violations| PipelineError::Broken {
                pass: doc.name,
                violations,
            })?;
            let report = PassReport {
                name: doc.name,
                changed: changed == Changed::Yes,
                statistics: std::mem::take(&mut cx.statistics),
                nodes: (before, nodes(plan)),
                time,
            };
            observer.after(&report, plan);
            reports.push(report);
        }
        Ok(reports)
    }
}
