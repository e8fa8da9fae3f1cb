//! Planning: fuse, passes, place. What the scheduler asks for when models are due.

use std::sync::Arc;

use syncarp_engine::Job;
use syncarp_ir::{Plan, Verified, Violations};
use syncarp_logical::{FuseError, Submission, evaluator_classes, fuse};
use syncarp_pass::{Context, Execute, Manager, Observer, PassRegistry, PassReport, PipelineError};
use syncarp_place::{Device, PlaceError, Placement, Policy, Request};
use thiserror::Error;

/// The logical passes that are run unless others are asked for: sound, and they pay.
pub const DEFAULT_PIPELINE: &str = "dedup-input,cse,dce";

/// Why a batch cannot be planned.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The models do not fuse: the fault of a submitter.
    #[error(transparent)]
    Fuse(#[from] FuseError),
    /// The pipeline is wrong or a pass gave up.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The passes left a plan that is not sound: the fault of a pass.
    #[error("after the passes: {0}")]
    Broken(#[from] Violations),
    /// The policy gave up.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl PlanError {
    /// Which of the planned trials is at fault, where one is that could not be planned alone
    /// either.
    pub fn culprit(&self, trials: &[&Trial]) -> Option<usize> {
        let name = match self {
            PlanError::Fuse(FuseError::NotOne { name, .. }) => name,
            PlanError::Place(PlaceError::TooLarge { model, .. }) => model,
            _ => return None,
        };
        let mut named = (0..trials.len()).filter(|at| trials[*at].submission.name == *name);
        // Names need not be unique, and an innocent model must not fail.
        named.next().filter(|_| named.next().is_none())
    }
}

/// A model and the data stream that it is trained on.
#[derive(Clone)]
pub struct Trial {
    /// The model.
    pub submission: Submission,
    /// Its data stream.
    pub data: Arc<syncarp_data::DataStream>,
}

/// A planned batch.
pub struct Planned {
    /// The logical graph as fused.
    pub fused: Plan,
    /// The logical graph after the passes.
    pub logical: Verified,
    /// What the passes did.
    pub passes: Vec<PassReport>,
    /// Where everything runs.
    pub placement: Placement,
}

/// Plans batches.
#[derive(Clone)]
pub struct Planner {
    /// The passes that there are.
    pub passes: Arc<PassRegistry>,
    /// The logical pipeline.
    pub pipeline: String,
    /// The placement policy.
    pub policy: Arc<dyn Policy>,
    /// What evaluates graphs for passes that ask for numbers.
    pub execute: Option<Arc<dyn Execute>>,
}

impl Planner {
    /// Plans some trials on some devices.
    ///
    /// # Errors
    /// Where they do not fuse, a pass gives up or they cannot be placed.
    pub fn plan(&self, trials: &[&Trial], devices: &[Device]) -> Result<Planned, PlanError> {
        self.plan_observed(trials, devices, &mut ())
    }

    /// The same, with somebody looking on at the passes.
    ///
    /// # Errors
    /// As [`Planner::plan`].
    pub fn plan_observed(
        &self,
        trials: &[&Trial],
        devices: &[Device],
        observer: &mut dyn Observer,
    ) -> Result<Planned, PlanError> {
        let submissions: Vec<Submission> = trials.iter().map(|t| t.submission.clone()).collect();
        let fused = fuse(&submissions)?;
        let mut logical = fused.clone();
        let evaluators: Vec<_> = submissions.iter().map(|s| s.evaluator.clone()).collect();
        let manager = Manager::new(&self.passes, &self.pipeline).map_err(PipelineError::from)?;
        let mut cx = Context::new(&evaluators, &|_| true);
        cx.execute = self.execute.as_deref();
        let passes = manager.run(&mut logical, &mut cx, observer)?;
        let logical = Verified::new(logical)?;
        let batch_sizes: Vec<u64> = trials
            .iter()
            .map(|t| t.data.batching().batch_size as u64)
            .collect();
        let request = Request {
            plan: &logical,
            devices,
            batch_sizes: &batch_sizes,
            evaluators: &evaluator_classes(&submissions),
        };
        let placement = self.policy.place(&request)?;
        Ok(Planned {
            fused,
            logical,
            passes,
            placement,
        })
    }

    /// The job of one assembly of a planned batch.
    pub fn job(&self, id: u32, planned: &Planned, index: usize, trials: &[&Trial]) -> Job {
        let assembly = &planned.placement.assemblies[index];
        let here = |m: &syncarp_ir::Model| trials[m.index()];
        Job {
            id,
            assembly: Arc::new(assembly.clone()),
            evaluators: assembly
                .models
                .iter()
                .map(|m| here(m).submission.evaluator.clone())
                .collect(),
            data: here(&assembly.models[0]).data.clone(),
            max_steps: None,
            step_losses: false,
        }
    }
}
