//! Training an assembly: the loop over epochs and steps, and what it tells.
//!
//! The assembly is compiled into programs: one for each batch size that occurs, of the step graph
//! and of the graph that evaluates. When models leave (done, failed or stopped), the plan is
//! projected on those that stay and compiled anew at the end of the epoch; their states go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncarp_data::{DataStream, Dataset};
use syncarp_evaluator::{Evaluator, Progress};
use syncarp_ir::core_ops::STEP_INPUT;
use syncarp_ir::{Bindings, EVAL, Graph, Model, Node, OutputKey, Plan, STEP, State, TensorData};
use syncarp_pass::{Context, Manager, PassRegistry};
use syncarp_place::Device;

use crate::embedded::Requests;
use crate::engine::{EpochReport, Event, Job, NamedTensor, Snapshot};
use crate::error::EngineError;
use crate::kernel::{Class, KernelRegistry, Precision, Slot};
use crate::link::{Runnable, Workspace};
use crate::program::compile;
use crate::real::Real;
use crate::state::States;
use crate::team::{Team, with_team};

/// One model of the assembly while it trains.
struct Trainee {
    /// Its number in the assembly.
    number: usize,
    evaluator: Arc<Evaluator>,
    loss_sum: f64,
    failed: Option<String>,
    best: Option<(f64, Arc<Snapshot>)>,
}

/// An assembly ready to be trained.
pub(crate) struct Training<'j> {
    job: &'j Job,
    kernels: &'j KernelRegistry,
    /// The plan with its step graph and its graph that evaluates.
    plan: Plan,
    threads: Vec<usize>,
    trainees: Vec<Trainee>,
    /// Values of states by (model's number in the assembly, path), from one segment to the next.
    kept: BTreeMap<(usize, Arc<str>), TensorData>,
    epoch: u64,
    step: u64,
}

type Tell<'a> = &'a dyn Fn(Event);

impl<'j> Training<'j> {
    /// Readies an assembly with a pipeline of passes.
    pub(crate) fn new(
        job: &'j Job,
        kernels: &'j KernelRegistry,
        passes: &PassRegistry,
        pipeline: &str,
    ) -> Result<Self, EngineError> {
        let mut plan = (*job.assembly.plan).clone();
        let has_kernel = |op: &str| {
            use syncarp_ir::core_ops::{INPUT, STATE};
            op == INPUT || op == STATE || kernels.has(op)
        };
        let mut cx = Context::new(&job.evaluators, &has_kernel);
        let manager = Manager::new(passes, pipeline).map_err(syncarp_pass::PipelineError::from)?;
        manager.run(&mut plan, &mut cx, &mut ())?;
        let trainees = job
            .evaluators
            .iter()
            .enumerate()
            .map(|(number, evaluator)| Trainee {
                number,
                evaluator: evaluator.clone(),
                loss_sum: 0.0,
                failed: None,
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

    fn is_done(&self, trainee: &Trainee) -> bool {
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

/// Where a program's input comes from.
enum Source {
    /// A column of the data set, by name.
    Column(Arc<str>),
    /// The number of the step.
    Step,
    /// A coefficient of a model: the model's place and the coefficient's.
    Coefficient(usize, usize),
}

/// One linked program's place in the list, with what goes in and comes out.
struct Ready {
    program: usize,
    inputs: Vec<(Source, Slot)>,
    /// For each model, where its loss is, for either parity.
    losses: Vec<[Slot; 2]>,
    /// For each model, for each metric, where its statistics are, for either parity.
    metrics: Vec<Vec<Vec<[Slot; 2]>>>,
}

/// All programs of a segment: by batch size, for training and for evaluating.
struct Programs<T> {
    runnables: Vec<Runnable<T>>,
    steps: BTreeMap<usize, Ready>,
    evals: BTreeMap<usize, Ready>,
    _workspace: Workspace,
}

impl<T: Precision> Programs<T> {
    fn new(
        plan: &Plan,
        data: &DataStream,
        kernels: &KernelRegistry,
        threads: &[usize],
        trainees: &[Trainee],
        states: &mut States,
    ) -> Result<Self, EngineError> {
        let graph = |name: &str| {
            plan.graph(name)
                .ok_or_else(|| EngineError::NoGraph(name.to_owned()))
        };
        let (step, eval) = (graph(STEP)?, graph(EVAL)?);
        let mut eval_sizes: Vec<usize> =
            data.eval_batch_sizes(data.validation().unwrap_or(data.train()));
        eval_sizes.extend(
            data.test()
                .map(|t| data.eval_batch_sizes(t))
                .unwrap_or_default(),
        );
        eval_sizes.sort_unstable();
        eval_sizes.dedup();
        let wanted = data.batch_sizes().into_iter().map(|n| (step, n, true));
        let wanted: Vec<_> = wanted
            .chain(eval_sizes.iter().map(|n| (eval, *n, false)))
            .collect();
        let mut compiled = Vec::new();
        for (graph, size, _) in &wanted {
            let bindings = Bindings::from([("n".into(), *size as u64)]);
            compiled.push(compile::<T>(graph, &bindings, kernels, threads)?);
        }
        let mut workspace = Workspace::new(compiled.iter());
        let mut programs = Programs {
            runnables: Vec::new(),
            steps: BTreeMap::new(),
            evals: BTreeMap::new(),
            _workspace: Workspace::new(std::iter::empty::<&crate::program::Program<T>>()),
        };
        for ((graph, size, is_step), program) in wanted.into_iter().zip(compiled) {
            let runnable = Runnable::new(graph, program, states, &mut workspace);
            let index = programs.runnables.len();
            let ready = Ready::new(graph, &runnable, index, trainees)?;
            programs.runnables.push(runnable);
            let table = if is_step {
                &mut programs.steps
            } else {
                &mut programs.evals
            };
            table.insert(size, ready);
        }
        programs._workspace = workspace;
        Ok(programs)
    }
}

impl Ready {
    fn new<T: Real>(
        graph: &Graph,
        runnable: &Runnable<T>,
        program: usize,
        trainees: &[Trainee],
    ) -> Result<Self, EngineError> {
        let source = |node: Node| -> Source {
            let attrs = graph.attrs(node);
            let name = attrs.str("name").cloned().unwrap_or_default();
            if attrs.bool("coefficient") == Some(true) {
                let model = attrs.model("model").map_or(0, |m| m.index());
                let names = trainees[model].evaluator.coefficient_names();
                let at = names.iter().position(|n| **n == *name).unwrap_or(0);
                return Source::Coefficient(model, at);
            }
            if &*name == STEP_INPUT {
                Source::Step
            } else {
                Source::Column(name)
            }
        };
        let inputs = runnable
            .inputs()
            .iter()
            .map(|(n, slot)| (source(*n), *slot))
            .collect();
        let both = |key: &OutputKey| -> Option<[Slot; 2]> {
            let value = graph.output(key)?;
            Some([runnable.slot(value, 0)?, runnable.slot(value, 1)?])
        };
        let mut losses = Vec::new();
        let mut metrics = Vec::new();
        for (i, trainee) in trainees.iter().enumerate() {
            let model = Model::new(i);
            let loss = both(&OutputKey::Loss(model));
            losses.push(loss.ok_or_else(|| EngineError::NoGraph(format!("loss of {model}")))?);
            let statistics = |metric: &Arc<dyn syncarp_evaluator::Metric>| -> Vec<[Slot; 2]> {
                let name = |i: usize| format!("{}.{i}", metric.name()).into();
                (0..metric.width())
                    .map_while(|i| both(&OutputKey::Metric(model, name(i))))
                    .collect()
            };
            metrics.push(trainee.evaluator.metrics.iter().map(statistics).collect());
        }
        Ok(Ready {
            program,
            inputs,
            losses,
            metrics,
        })
    }
}

/// Writes an input's elements into its slot.
///
/// # Safety
/// Nobody may read or write the slot meanwhile.
pub(crate) unsafe fn write_input<T: Real>(
    slot: Slot,
    data: &TensorData,
    input: &str,
) -> Result<(), EngineError> {
    let len = match data {
        TensorData::Float(v) => v.len(),
        TensorData::Int(v) => v.len(),
    };
    let error = |message: String| EngineError::Input {
        input: input.to_owned(),
        message,
    };
    if len != slot.len {
        return Err(error(format!(
            "has {len} elements, the model takes {}",
            slot.len
        )));
    }
    // SAFETY: the slot has `len` elements of its class; the caller promised the rest.
    unsafe {
        match (data, slot.class) {
            (TensorData::Float(v), Class::Real) => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<T>(), len);
                out.iter_mut()
                    .zip(v)
                    .for_each(|(o, x)| *o = T::from_f64(*x));
            }
            (TensorData::Int(v), Class::Real) => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<T>(), len);
                out.iter_mut()
                    .zip(v)
                    .for_each(|(o, x)| *o = T::from_f64(*x as f64));
            }
            (TensorData::Int(v), Class::Int) => {
                std::slice::from_raw_parts_mut(slot.ptr.cast::<i64>(), len).copy_from_slice(v);
            }
            (TensorData::Int(v), Class::Bool) => {
                let out = std::slice::from_raw_parts_mut(slot.ptr, len);
                out.iter_mut()
                    .zip(v)
                    .for_each(|(o, x)| *o = u8::from(*x != 0));
            }
            (TensorData::Float(_), _) => {
                return Err(error("holds floats, the model takes integers".to_owned()));
            }
        }
    }
    Ok(())
}

/// The number in a scalar slot.
fn scalar<T: Real>(slot: Slot) -> f64 {
    // SAFETY: between runs nobody writes, and outputs live until the next run.
    unsafe { (*slot.ptr.cast::<T>()).to_f64() }
}

struct Segment<'a, 'j, 's, 'p, 't, T> {
    training: &'a mut Training<'j>,
    plan: &'a Plan,
    programs: &'a Programs<T>,
    states: States,
    team: &'t mut Team<'s, 'p, T>,
}

impl<T: Precision> Segment<'_, '_, '_, '_, '_, T> {
    /// Trains epoch by epoch until a model leaves.
    fn epochs(&mut self, tell: Tell<'_>, asked: &Requests) -> Result<(), EngineError> {
        let data = self.training.job.data.clone();
        let mut order = Vec::new();
        loop {
            data.epoch_order_into(self.training.epoch, &mut order);
            self.epoch(&data, &order, tell, asked)?;
            if asked.stop() {
                return Ok(());
            }
            let (name, part) = match data.validation() {
                Some(part) => ("validation", part),
                None => ("train", data.train()),
            };
            let numbers = self.evaluate(part)?;
            for (index, numbers) in numbers.into_iter().enumerate() {
                if self.training.trainees[index].failed.is_none() {
                    self.report(index, name, numbers, tell);
                }
            }
            let trainees = &self.training.trainees;
            let leaves = trainees.iter().any(|t| self.training.is_done(t));
            let tested = match data.test() {
                Some(test) if leaves => self.evaluate(test)?,
                _ => Vec::new(),
            };
            for index in 0..self.training.trainees.len() {
                if self.training.is_done(&self.training.trainees[index]) {
                    self.leave(index, tested.get(index), tell);
                }
            }
            if leaves {
                return Ok(());
            }
        }
    }

    fn progress(&self, trainee: &Trainee) -> Progress {
        Progress {
            step: self.training.step,
            steps_per_epoch: self.training.job.data.steps_per_epoch() as u64,
            epochs: trainee.evaluator.epochs,
        }
    }

    fn epoch(
        &mut self,
        data: &DataStream,
        order: &[u32],
        tell: Tell<'_>,
        asked: &Requests,
    ) -> Result<(), EngineError> {
        let steps = data.steps_per_epoch();
        let longest = self
            .training
            .trainees
            .iter()
            .map(|t| t.evaluator.epochs)
            .max();
        let total = longest.unwrap_or(0) * steps as u64;
        let every = (steps / 20).max(1);
        let mut coefficients = Vec::new();
        for trainee in &mut self.training.trainees {
            trainee.loss_sum = 0.0;
        }
        let mut seen = 0;
        for step in 0..steps {
            if asked.stop()
                || self
                    .training
                    .job
                    .max_steps
                    .is_some_and(|m| self.training.step >= m)
            {
                break;
            }
            for model in asked.take_models() {
                let trainees = &mut self.training.trainees;
                if let Some(trainee) = trainees.iter_mut().find(|t| t.number == model) {
                    trainee.failed.get_or_insert_with(String::new);
                }
            }
            let rows = data.batch_rows(order, step);
            self.step(data.train(), rows, &mut coefficients, tell)?;
            seen += rows.len();
            self.training.step += 1;
            if step % every == 0 {
                tell(Event::Progress {
                    step: self.training.step,
                    steps: total,
                });
            }
            if self.training.trainees.iter().all(|t| t.failed.is_some()) {
                break;
            }
        }
        for trainee in &mut self.training.trainees {
            trainee.loss_sum /= seen as f64;
        }
        self.training.epoch += 1;
        Ok(())
    }

    /// One training step. Nothing is allocated here once the buffers have grown.
    fn step(
        &mut self,
        part: &Dataset,
        rows: &[u32],
        coefficients: &mut Vec<f64>,
        tell: Tell<'_>,
    ) -> Result<(), EngineError> {
        let programs = self.programs;
        let ready = &programs.steps[&rows.len()];
        let mut filled = usize::MAX;
        for (source, slot) in &ready.inputs {
            match source {
                Source::Column(name) => fill::<T>(part, name, rows, *slot)?,
                // SAFETY: between runs nobody reads or writes inputs but this thread.
                Source::Step => unsafe { *slot.ptr.cast::<i64>() = self.training.step as i64 },
                Source::Coefficient(model, at) => {
                    if filled != *model {
                        coefficients.clear();
                        let trainee = &self.training.trainees[*model];
                        let progress = self.progress(trainee);
                        trainee.evaluator.coefficients(progress, coefficients);
                        filled = *model;
                    }
                    // SAFETY: as above.
                    unsafe { *slot.ptr.cast::<T>() = T::from_f64(coefficients[*at]) };
                }
            }
        }
        let parity = self.states.parity();
        self.team.run(ready.program, parity)?;
        self.states.flip();
        let step = self.training.step;
        for (trainee, loss) in self.training.trainees.iter_mut().zip(&ready.losses) {
            if trainee.failed.is_some() {
                continue;
            }
            let loss = scalar::<T>(loss[parity]);
            if self.training.job.step_losses {
                tell(Event::Loss {
                    model: trainee.number,
                    step,
                    loss,
                });
            }
            if loss.is_finite() {
                trainee.loss_sum += loss * rows.len() as f64;
            } else {
                trainee.failed = Some(format!("the loss is {loss} at step {step}"));
            }
        }
        Ok(())
    }

    /// The loss and the metrics of every model on a part.
    fn evaluate(&mut self, part: &Dataset) -> Result<Vec<Vec<f64>>, EngineError> {
        let data = self.training.job.data.clone();
        let order = data.eval_order(part);
        let trainees = &self.training.trainees;
        let mut losses = vec![0.0; trainees.len()];
        let mut kept: Vec<Vec<Vec<f64>>> = trainees
            .iter()
            .map(|t| {
                t.evaluator
                    .metrics
                    .iter()
                    .map(|m| vec![0.0; m.width()])
                    .collect()
            })
            .collect();
        let parity = self.states.parity();
        let mut batch = Vec::new();
        for step in 0..data.eval_steps(part) {
            let rows = data.eval_batch_rows(&order, step);
            let ready = &self.programs.evals[&rows.len()];
            for (source, slot) in &ready.inputs {
                match source {
                    Source::Column(name) => fill::<T>(part, name, rows, *slot)?,
                    // SAFETY: between runs nobody reads or writes inputs but this thread.
                    Source::Step => unsafe { *slot.ptr.cast::<i64>() = 0 },
                    Source::Coefficient(..) => {}
                }
            }
            self.team.run(ready.program, parity)?;
            for (index, trainee) in trainees.iter().enumerate() {
                losses[index] += scalar::<T>(ready.losses[index][parity]) * rows.len() as f64;
                let metrics = trainee.evaluator.metrics.iter().zip(&ready.metrics[index]);
                for ((metric, slots), kept) in metrics.zip(&mut kept[index]) {
                    batch.clear();
                    batch.extend(slots.iter().map(|s| scalar::<T>(s[parity])));
                    metric.update(kept, &batch, rows.len());
                }
            }
        }
        let rows = part.rows();
        let numbers = trainees
            .iter()
            .zip(losses)
            .zip(&kept)
            .map(|((trainee, loss), kept)| {
                let metrics = trainee.evaluator.metrics.iter().zip(kept);
                let metrics = metrics.map(|(metric, kept)| metric.finish(kept, rows));
                std::iter::once(loss / rows as f64).chain(metrics).collect()
            });
        Ok(numbers.collect())
    }

    fn named(&self, index: usize, numbers: Vec<f64>) -> Vec<(Arc<str>, f64)> {
        let metrics = self.training.trainees[index].evaluator.metrics.iter();
        let names = std::iter::once("loss".into()).chain(metrics.map(|m| m.name().into()));
        names.zip(numbers).collect()
    }

    /// Tells a model's numbers after an epoch, and remembers its states if it was its best.
    fn report(&mut self, index: usize, part: &'static str, numbers: Vec<f64>, tell: Tell<'_>) {
        let larger = self.training.trainees[index].evaluator.metrics.first();
        let larger = larger.is_some_and(|m| m.larger_is_better());
        let judged = numbers.get(1).copied().unwrap_or(numbers[0]);
        let score = if larger { judged } else { -judged };
        let best = &self.training.trainees[index].best;
        if score.is_finite() && best.as_ref().is_none_or(|(old, _)| score > *old) {
            let snapshot = Arc::new(self.snapshot(index, false));
            self.training.trainees[index].best = Some((score, snapshot));
        }
        let (epoch, step) = (self.training.epoch, self.training.step);
        let metrics = self.named(index, numbers);
        let trainee = &mut self.training.trainees[index];
        let train_loss = trainee.loss_sum;
        if let Some((name, value)) = metrics.iter().find(|(_, v)| !v.is_finite()) {
            trainee.failed = Some(format!("{name} is {value} after epoch {epoch}"));
        }
        let report = EpochReport {
            epoch,
            step,
            train_loss,
            part,
            metrics,
        };
        tell(Event::Epoch {
            model: trainee.number,
            report,
        });
    }

    /// A model's last words: test numbers, checkpoints and how it ended.
    fn leave(&mut self, index: usize, tested: Option<&Vec<f64>>, tell: Tell<'_>) {
        let model = self.training.trainees[index].number;
        let failed = self.training.trainees[index].failed.clone();
        if let (None, Some(numbers)) = (&failed, tested) {
            tell(Event::Test {
                model,
                metrics: self.named(index, numbers.clone()),
            });
        }
        let last = Arc::new(self.snapshot(index, true));
        let best = self.training.trainees[index].best.take().map(|(_, s)| s);
        tell(Event::Checkpoint { model, best, last });
        match failed {
            None => tell(Event::Finished { model }),
            // A stop that somebody asked for has no cause to tell.
            Some(cause) if cause.is_empty() => {}
            Some(cause) => tell(Event::Failed { model, cause }),
        }
    }

    fn snapshot(&mut self, index: usize, slots: bool) -> Snapshot {
        let entry = self.plan.model(Model::new(index));
        let mut tensors = Vec::new();
        for (path, state) in &entry.states {
            let slot = self.plan.state(*state).kind == syncarp_ir::StateKind::Slot;
            if slots || !slot {
                tensors.push(NamedTensor {
                    path: path.clone(),
                    dims: self.states.dims(*state).to_vec(),
                    data: self.states.read::<T>(*state),
                    slot,
                });
            }
        }
        let evaluator = &self.training.trainees[index].evaluator;
        let progress = self.progress(&self.training.trainees[index]);
        let rate = evaluator
            .schedule
            .rate(evaluator.optimizer.rate(), progress);
        Snapshot {
            epoch: self.training.epoch,
            step: self.training.step,
            rate,
            tensors,
        }
    }
}

/// Copies rows of a column into an input's slot.
fn fill<T: Real>(part: &Dataset, name: &str, rows: &[u32], slot: Slot) -> Result<(), EngineError> {
    let missing = || EngineError::Input {
        input: name.to_owned(),
        message: "is no column of the data".to_owned(),
    };
    let column = part.column(name).ok_or_else(missing)?;
    // SAFETY: between runs nobody reads or writes inputs but this thread, and the slot has `len`
    // elements of its class.
    unsafe {
        match slot.class {
            Class::Real if size_of::<T>() == 4 => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<f32>(), slot.len);
                column.gather_f32(rows, out)?;
            }
            Class::Real => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<f64>(), slot.len);
                column.gather_f64(rows, out)?;
            }
            Class::Int => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<i64>(), slot.len);
                column.gather_i64(rows, out)?;
            }
            Class::Bool => return Err(missing()),
        }
    }
    Ok(())
}
