//! Training an assembly: from passes to segments of epochs in which the same models are there.
//!
//! The assembly is compiled into programs: one for each batch size that occurs, of the step graph
//! and of the graph that evaluates. When models leave (done, failed or stopped), the plan is
//! projected on those that stay and compiled anew at the end of the epoch; their states go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncarp_evaluator::Evaluator;
use syncarp_ir::{Model, Plan, Purity, State, TensorData};
use syncarp_pass::{Context, Manager, PassRegistry};
use syncarp_place::Device;

use crate::engine::{Event, Job, Snapshot};
use crate::error::EngineError;
use crate::kernel::{KernelRegistry, Precision};
use crate::programs::Programs;
use crate::requests::Requests;
use crate::segment::Segment;
use crate::state::States;
use crate::team::with_team;

/// One model of the assembly while it trains.
pub(crate) struct Trainee {
    /// Its number in the assembly.
    pub number: usize,
    pub evaluator: Arc<Evaluator>,
    /// The sum of the losses of the samples of this epoch, then their mean.
    pub loss_sum: f64,
    /// What went wrong; empty where somebody asked that it be stopped.
    pub failed: Option<String>,
    /// The states at the step at which it failed: what is computed afterwards reaches nobody.
    pub failed_at: Option<Arc<Snapshot>>,
    /// The best score so far and the states that got it.
    pub best: Option<(f64, Arc<Snapshot>)>,
}

/// An assembly ready to be trained.
pub(crate) struct Training<'j> {
    pub job: &'j Job,
    kernels: &'j KernelRegistry,
    /// The plan with its step graph and its graph that evaluates.
    plan: Plan,
    threads: Vec<usize>,
    pub trainees: Vec<Trainee>,
    /// Models that cannot be trained here, and why.
    refused: Vec<(usize, String)>,
    /// Values of states by (model's number in the assembly, path), from one segment to the next.
    kept: BTreeMap<(usize, Arc<str>), TensorData>,
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
}

/// Hears what happens.
pub(crate) type Tell<'a> = &'a dyn Fn(Event);

impl<'j> Training<'j> {
    /// Readies an assembly with a pipeline of passes.
    pub(crate) fn new(
        job: &'j Job,
        kernels: &'j KernelRegistry,
        passes: &PassRegistry,
        pipeline: &str,
    ) -> Result<Self, EngineError> {
        let refused = opaque(&job.assembly.plan, kernels);
        let stay: Vec<Model> = (0..job.evaluators.len())
            .filter(|number| refused.iter().all(|(other, _)| other != number))
            .map(Model::new)
            .collect();
        let mut plan = match refused.is_empty() {
            true => (*job.assembly.plan).clone(),
            false => syncarp_logical::project(&job.assembly.plan, &stay),
        };
        let evaluators: Vec<Arc<Evaluator>> = stay
            .iter()
            .map(|model| job.evaluators[model.index()].clone())
            .collect();
        let has_kernel = |op: &str| {
            use syncarp_ir::core_ops::{INPUT, STATE};
            op == INPUT || op == STATE || kernels.has(op)
        };
        let mut cx = Context::new(&evaluators, &has_kernel).with_execute(kernels);
        let manager = Manager::new(passes, pipeline).map_err(syncarp_pass::PipelineError::from)?;
        if !stay.is_empty() {
            manager.run(&mut plan, &mut cx, &mut ())?;
        }
        let trainees = stay
            .iter()
            .zip(evaluators)
            .map(|(model, evaluator)| Trainee {
                number: model.index(),
                evaluator,
                loss_sum: 0.0,
                failed: None,
                failed_at: None,
                best: None,
            });
        Ok(Training {
            job,
            kernels,
            plan,
            threads: job
                .assembly
                .devices
                .iter()
                .map(|d: &Device| d.threads.max(1))
                .collect(),
            trainees: trainees.collect(),
            refused,
            kept: BTreeMap::new(),
            epoch: 0,
            step: 0,
        })
    }

    /// Trains in `f32` until every model is done.
    pub(crate) fn run(mut self, tell: Tell<'_>, asked: &Requests) -> Result<(), EngineError> {
        for trainee in &self.trainees {
            tell(Event::Started {
                model: trainee.number,
            });
        }
        for (model, cause) in std::mem::take(&mut self.refused) {
            tell(Event::Failed { model, cause });
        }
        while !self.trainees.is_empty() && !asked.stop() {
            self.segment::<f32>(tell, asked)?;
            let stay: Vec<Model> = (0..self.trainees.len())
                .filter(|i| !self.is_done(&self.trainees[*i]))
                .map(Model::new)
                .collect();
            if stay.len() < self.trainees.len() {
                self.plan = syncarp_logical::project(&self.plan, &stay);
                let trainees = std::mem::take(&mut self.trainees);
                let stays = |i: &usize| stay.contains(&Model::new(*i));
                let kept = trainees.into_iter().enumerate().filter(|(i, _)| stays(i));
                self.trainees = kept.map(|(_, t)| t).collect();
            }
        }
        Ok(())
    }

    /// Whether a model leaves now.
    pub(crate) fn is_done(&self, trainee: &Trainee) -> bool {
        trainee.failed.is_some()
            || self.epoch >= trainee.evaluator.epochs
            || self.job.max_steps.is_some_and(|max| self.step >= max)
    }

    /// Trains the models that are there until one of them leaves.
    fn segment<T: Precision>(
        &mut self,
        tell: Tell<'_>,
        asked: &Requests,
    ) -> Result<(), EngineError> {
        let plan = std::mem::take(&mut self.plan);
        let numbers: Vec<usize> = self.trainees.iter().map(|t| t.number).collect();
        let owned = owners(&plan);
        let given = |state: State| {
            let (model, path) = owned.get(&state)?;
            self.kept
                .get(&(numbers[model.index()], path.clone()))
                .cloned()
        };
        let mut states = States::new::<T>(&plan, &given)?;
        let data = self.job.data.clone();
        let mut programs = Programs::<T>::new(
            &plan,
            &data,
            self.kernels,
            &self.threads,
            &self.trainees,
            &mut states,
        )?;
        let total = self.threads.iter().sum();
        let runnables = std::mem::take(&mut programs.runnables);
        let result = with_team(&runnables, total, |team| {
            let mut run = Segment {
                training: self,
                plan: &plan,
                programs: &programs,
                states,
                team,
            };
            let result = run.epochs(tell, asked);
            (result, run.states)
        });
        drop(runnables);
        let (result, mut states) = result;
        result?;
        self.kept.clear();
        for (state, (model, path)) in &owned {
            let key = (numbers[model.index()], path.clone());
            self.kept.insert(key, states.read::<T>(*state));
        }
        self.plan = plan;
        Ok(())
    }
}

/// The models with a node that no engine can look into and this one has no kernel for, each with
/// its first such node. They fail before the others begin.
fn opaque(plan: &Plan, kernels: &KernelRegistry) -> Vec<(usize, String)> {
    let mut found: BTreeMap<usize, String> = BTreeMap::new();
    for (_, graph) in &plan.graphs {
        for node in graph.nodes() {
            let op = graph.op_name(node);
            if graph.op(node).purity() != Purity::Opaque || kernels.has(op) {
                continue;
            }
            let named = graph.attrs(node).str("op").map_or(op, |name| &**name);
            for origin in graph.provenance().set(graph.provenance_id(node)) {
                let path = graph.provenance().path(origin.path);
                let cause = || format!("{path}: the engine has no kernel for `{named}`");
                found.entry(origin.model.index()).or_insert_with(cause);
            }
        }
    }
    found.into_iter().collect()
}

/// For every owned state, its owner and its path there.
fn owners(plan: &Plan) -> BTreeMap<State, (Model, Arc<str>)> {
    let mut owners = BTreeMap::new();
    for model in plan.model_ids() {
        for (path, state) in &plan.model(model).states {
            if plan.state(*state).owner == Some(model) {
                owners.insert(*state, (model, path.clone()));
            }
        }
    }
    owners
}
