//! A segment of a training: the loop over epochs and steps until a model leaves.

use std::sync::Arc;

use syncarp_data::{DataStream, Dataset};
use syncarp_evaluator::Progress;
use syncarp_ir::{Model, Plan, StateKind};

use crate::engine::{EpochReport, Event, NamedTensor, Snapshot};
use crate::error::EngineError;
use crate::kernel::Precision;
use crate::programs::{Programs, Source, fill, scalar};
use crate::requests::Requests;
use crate::state::States;
use crate::team::Team;
use crate::train::{Tell, Trainee, Training};

/// What a segment runs with.
pub(crate) struct Segment<'a, 'j, 's, 'p, 't, T> {
    pub training: &'a mut Training<'j>,
    pub plan: &'a Plan,
    pub programs: &'a Programs<T>,
    pub states: States,
    pub team: &'t mut Team<'s, 'p, T>,
}

impl<T: Precision> Segment<'_, '_, '_, '_, '_, T> {
    /// Trains epoch by epoch until a model leaves.
    pub(crate) fn epochs(&mut self, tell: Tell<'_>, asked: &Requests) -> Result<(), EngineError> {
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
                self.keep_failed();
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
        let mut failing = false;
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
                failing = true;
            }
        }
        if failing {
            self.keep_failed();
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
        let last = match self.training.trainees[index].failed_at.take() {
            Some(snapshot) => snapshot,
            None => Arc::new(self.snapshot(index, true)),
        };
        let best = self.training.trainees[index].best.take().map(|(_, s)| s);
        tell(Event::Checkpoint { model, best, last });
        match failed {
            None => tell(Event::Finished { model }),
            // A stop that somebody asked for has no cause to tell.
            Some(cause) if cause.is_empty() => {}
            Some(cause) => tell(Event::Failed { model, cause }),
        }
    }

    /// Keeps the states of models that have just failed or been stopped, since their nodes are
    /// computed on until the epoch's end.
    fn keep_failed(&mut self) {
        for index in 0..self.training.trainees.len() {
            let trainee = &self.training.trainees[index];
            if trainee.failed.is_some() && trainee.failed_at.is_none() {
                let snapshot = Arc::new(self.snapshot(index, true));
                self.training.trainees[index].failed_at = Some(snapshot);
            }
        }
    }

    fn snapshot(&mut self, index: usize, slots: bool) -> Snapshot {
        let entry = self.plan.model(Model::new(index));
        let mut tensors = Vec::new();
        for (path, state) in &entry.states {
            let slot = self.plan.state(*state).kind == StateKind::Slot;
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
