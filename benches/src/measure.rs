//! Measures how fast the embedded engine trains a family merged.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use syncarp_data::{Array, Batching, Column, DataError, DataParts, DataStream, Dataset};
use syncarp_diag::Source;
use syncarp_engine::{Embedded, Engine, Event, Sink, kernels};
use syncarp_evaluator::{Evaluator, EvaluatorRegistry, OptionValue, judge};
use syncarp_ir::{DType, OpRegistry, parse};
use syncarp_logical::Submission;
use syncarp_pass::{PassRegistry, RegisterError};
use syncarp_place::{PolicyRegistry, parse_devices};
use syncarp_runtime::{DEFAULT_PIPELINE, Planner, Trial};

use crate::family::{BATCH, CLASSES, Family};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// The family.
    pub family: Family,
    /// How many models of it are merged; each has a seed of its own.
    pub models: usize,
    /// Steps of each model, all of them in one epoch; at least 3.
    pub steps: usize,
    /// Threads of the engine.
    pub threads: usize,
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// From the end of the second step to the end of the last.
    pub seconds: f64,
    /// The mean of the models' losses at the last step.
    pub loss: f64,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Trains a workload and measures it in its steady state, from the end of its second step. Planning,
/// compiling and evaluating are not in it.
///
/// # Errors
/// Where the workload cannot be planned, or the engine gives up on it.
pub fn measure(workload: &Workload) -> Result<Measurement, Failure> {
    if workload.steps < 3 || workload.models == 0 {
        return Err("there must be a model, and at least 3 steps".into());
    }
    let ops = Arc::new(syncarp_ops::standard());
    let data = Arc::new(stream(workload)?);
    let trials = (0..workload.models)
        .map(|seed| trial(workload.family, seed as u64, &ops, &data))
        .collect::<Result<Vec<_>, _>>()?;
    let passes = Arc::new(passes()?);
    let planner = Planner {
        passes: passes.clone(),
        pipeline: DEFAULT_PIPELINE.to_owned(),
        policy: PolicyRegistry::standard().get("pack")?,
        execute: None,
    };
    let refs: Vec<&Trial> = trials.iter().collect();
    let planned = planner.plan(&refs, &parse_devices("cpu:0", workload.threads)?)?;
    if planned.placement.assemblies.len() != 1 {
        return Err("the models did not become one assembly".into());
    }
    let mut job = planner.job(0, &planned, 0, &refs);
    job.step_losses = true;
    let (sink, ended) = watch(workload);
    let mut engine = Embedded::new(Arc::new(kernels::standard()?), passes);
    engine.start(job, sink);
    Ok(ended.recv()??)
}

/// A sink that notes when steps end, and where it says what it saw.
fn watch(workload: &Workload) -> (Sink, Receiver<Result<Measurement, String>>) {
    struct Seen {
        begin: Option<Instant>,
        seconds: f64,
        loss: f64,
    }
    let (done, ended): (SyncSender<Result<Measurement, String>>, _) = sync_channel(1);
    let (models, last) = (workload.models, workload.steps as u64 - 1);
    let seen = Mutex::new(Seen {
        begin: None,
        seconds: 0.0,
        loss: 0.0,
    });
    let sink: Sink = Arc::new(move |_, event| {
        let mut seen = seen.lock().unwrap_or_else(|e| e.into_inner());
        match event {
            Event::Loss { model, step, loss } => {
                // A step has ended for all of them once the last model's loss is told.
                if step == 1 && model == models - 1 {
                    seen.begin = Some(Instant::now());
                }
                if step == last {
                    seen.loss += loss / models as f64;
                    let begin = seen.begin.filter(|_| model == models - 1);
                    seen.seconds = begin.map_or(0.0, |b| b.elapsed().as_secs_f64());
                }
            }
            Event::Failed { model, cause } => {
                // Only the first message fits; who waits for it reads no second one.
                let _ = done.try_send(Err(format!("model {model} failed: {cause}")));
            }
            Event::AssemblyFailed { cause } => {
                let _ = done.try_send(Err(cause));
            }
            Event::AssemblyFinished => {
                let (seconds, loss) = (seen.seconds, seen.loss);
                let _ = done.try_send(Ok(Measurement { seconds, loss }));
            }
            _ => {}
        }
    });
    (sink, ended)
}

/// Rows for one epoch of all steps, in order, and a few to evaluate on. The numbers are those that
/// the PyTorch program makes.
fn stream(workload: &Workload) -> Result<DataStream, DataError> {
    let part = |rows: usize| {
        let sample = workload.family.sample();
        let length: usize = sample.iter().product();
        // A class shows in every tenth element, so that a loss which falls says that steps train.
        let element = |i: usize| {
            let shows = i % length % CLASSES == i / length % CLASSES;
            ((i * 37) % 101) as f32 / 101.0 + f32::from(u8::from(shows))
        };
        let x: Vec<f32> = (0..rows * length).map(element).collect();
        let y: Vec<i64> = (0..rows).map(|i| (i % CLASSES) as i64).collect();
        let x = Column::new("x", sample, Array::F32(x));
        let y = Column::new("y", vec![], Array::I64(y));
        Dataset::new(vec![x], vec![y])
    };
    let parts = DataParts::new(part(workload.steps * BATCH)?, Some(part(BATCH)?), None)?;
    let batching = Batching {
        batch_size: BATCH,
        eval_batch_size: BATCH,
        shuffle: false,
        ..Batching::default()
    };
    DataStream::from_parts(parts, batching)
}

fn trial(
    family: Family,
    seed: u64,
    ops: &Arc<OpRegistry>,
    data: &Arc<DataStream>,
) -> Result<Trial, Failure> {
    let registry = EvaluatorRegistry::standard();
    let (optimizer, options) = family.optimizer();
    let options: Vec<(String, OptionValue)> = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OptionValue::Number(*value)))
        .collect();
    let evaluator = Arc::new(Evaluator {
        loss: registry.loss("cross-entropy", &[])?,
        metrics: Vec::new(),
        optimizer: registry.optimizer(optimizer, &options)?,
        schedule: registry.schedule("constant", &[])?,
        clip_norm: None,
        epochs: 1,
        seed,
    });
    let mut plan = parse(&Source::new(family.name(), family.text()), ops)?;
    judge(&mut plan, &evaluator, (DType::I64, &[]))?;
    let submission = Submission {
        name: format!("{}-{seed}", family.name()).into(),
        plan: Arc::new(plan),
        evaluator,
        data: "synthetic".into(),
    };
    Ok(Trial {
        submission,
        data: data.clone(),
    })
}

fn passes() -> Result<PassRegistry, RegisterError> {
    let mut passes = PassRegistry::new();
    syncarp_pass_cse::register(&mut passes)?;
    syncarp_pass_dce::register(&mut passes)?;
    syncarp_pass_decompose::register(&mut passes)?;
    syncarp_pass_dedup_input::register(&mut passes)?;
    syncarp_pass_differentiate::register(&mut passes)?;
    syncarp_pass_to_eval::register(&mut passes)?;
    Ok(passes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_learns() {
        for family in Family::ALL {
            let workload = Workload {
                family,
                models: 2,
                steps: 60,
                threads: 1,
            };
            let measured = measure(&workload).unwrap_or_else(|e| panic!("{}: {e}", family.name()));
            assert!(measured.seconds > 0.0, "{}", family.name());
            // Ten classes that are guessed at.
            let chance = (CLASSES as f64).ln();
            let (name, loss) = (family.name(), measured.loss);
            assert!((0.0..chance - 0.02).contains(&loss), "{name}: {loss}");
        }
    }

    #[test]
    fn too_few_steps_are_refused() {
        let workload = Workload {
            family: Family::MlpTiny,
            models: 1,
            steps: 2,
            threads: 1,
        };
        assert!(measure(&workload).is_err());
    }
}
