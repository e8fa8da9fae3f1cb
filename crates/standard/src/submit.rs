//! From a sweep to trials: data loaded, models lowered and bound, evaluators made.

use std::ops::Range;
use std::sync::Arc;

use syncarp_data::{Array, Column, DataStream};
use syncarp_diag::{Located, Source};
use syncarp_evaluator::{EvaluatorRegistry, JudgeError, TARGET, judge};
use syncarp_frontend::Frontend;
use syncarp_ir::{DType, OutputKey, Plan, TRAIN};
use syncarp_logical::{Submission, bind_inputs};
use syncarp_runtime::Trial;
use syncarp_sweep::{ModelSpec, Named, Spanned, Sweep, Table};

use crate::error::SubmitError;
use crate::hash::hash;
use crate::options::evaluator;
use crate::registries::Registries;
use crate::streams::{Streams, setting_span};

/// A model that is ready to be trained.
#[derive(Clone)]
pub struct Submitted {
    /// The model with its data.
    pub trial: Trial,
    /// A hash of all that its numbers depend on.
    pub hash: String,
}

/// Readies the models of sweeps. It keeps the files and the data streams that it has read, so that
/// sweeps which come one after another share them.
pub struct Submitter {
    frontend: Frontend,
    evaluators: Arc<EvaluatorRegistry>,
    streams: Streams,
}

impl Submitter {
    /// A submitter that knows what is registered.
    pub fn new(registries: &Registries) -> Self {
        Submitter {
            frontend: registries.frontend(),
            evaluators: registries.evaluators.clone(),
            streams: Streams::default(),
        }
    }

    /// Readies the models of a sweep, in its order.
    ///
    /// # Errors
    /// Every mistake in the sweep, the first one in each model; or a file that cannot be read.
    pub fn submit(&mut self, sweep: &Sweep) -> Result<Vec<Submitted>, SubmitError> {
        self.streams.try_again();
        let mut submitted = Vec::with_capacity(sweep.models.len());
        let mut mistakes: Vec<Located> = Vec::new();
        for model in &sweep.models {
            match self.model(model, sweep) {
                Ok(model) => submitted.push(model),
                Err(SubmitError::Mistakes(found)) => {
                    for mistake in found {
                        // Models of one block mostly share a mistake, which is told once.
                        if !mistakes.contains(&mistake) {
                            mistakes.push(mistake);
                        }
                    }
                }
                Err(other) => return Err(other),
            }
            if mistakes.len() >= syncarp_sweep::MAX_MISTAKES {
                break;
            }
        }
        match mistakes.is_empty() {
            true => Ok(submitted),
            false => Err(SubmitError::Mistakes(mistakes)),
        }
    }

    fn model(&mut self, model: &ModelSpec, sweep: &Sweep) -> Result<Submitted, SubmitError> {
        let data = self.streams.load(&model.data, sweep)?;
        let source = &sweep.source;
        let at = |span: &Range<usize>, message: String| Located::new(source, span.clone(), message);
        let target = target(&data, source, &model.data)?;
        let is_class = matches!(target.data, Array::I64(_));
        let evaluator = evaluator(&self.evaluators, model, is_class, source)?;
        let inputs: Vec<(String, DType, Vec<u64>)> = data
            .train()
            .inputs()
            .iter()
            .map(|column| (column.name.clone(), dtype(&column.data), dims(column)))
            .collect();
        let lowered = self.frontend.lower(model, source, &sweep.base_dir, &inputs);
        let mut plan = lowered?;
        let columns: Vec<(&str, DType, &[u64])> = inputs
            .iter()
            .map(|(name, dtype, dims)| (&**name, *dtype, &dims[..]))
            .collect();
        bind_inputs(&mut plan, &columns).map_err(|error| at(&model.span, error.to_string()))?;
        let training = &model.training;
        if &*training.loss.name.value.replace('_', "-") == "cross-entropy" {
            check_classes(&plan, target).map_err(|message| at(&model.span, message))?;
        }
        let target = (dtype(&target.data), dims(target));
        judge(&mut plan, &evaluator, (target.0, &target.1)).map_err(|error| {
            let span = match &error {
                JudgeError::Types { judge, .. } => named_span(training, judge),
                _ => &model.span,
            };
            let help = format!("model `{}`", model.name);
            at(span, error.to_string()).with_help(help)
        })?;
        let hash = hash(model, &plan, &data);
        let submission = Submission {
            name: model.name.as_str().into(),
            plan: Arc::new(plan),
            evaluator: Arc::new(evaluator),
            data: data.key().as_str().into(),
        };
        let trial = Trial { submission, data };
        Ok(Submitted { trial, hash })
    }
}

/// Where the loss or the metric of this name is written.
fn named_span<'m>(training: &'m syncarp_sweep::EvaluatorSpec, name: &str) -> &'m Range<usize> {
    let is = |named: &&Named| named.name.value.replace('_', "-") == name;
    let metric = training.metrics.iter().find(is);
    match metric {
        Some(named) if !is(&&training.loss) => &named.name.span,
        _ => &training.loss.name.span,
    }
}

/// The one target column, which losses and metrics read.
fn target<'d>(
    data: &'d DataStream,
    source: &Source,
    table: &Spanned<Table>,
) -> Result<&'d Column, Located> {
    let targets = data.train().targets();
    match targets {
        [column] if column.name == TARGET => Ok(column),
        _ => {
            let names: Vec<&str> = targets.iter().map(|column| &*column.name).collect();
            let message = format!("a model is judged by one target, but the data has {names:?}");
            let span = setting_span(table, "source");
            Err(Located::new(source, span, message).with_help("name one array as the target"))
        }
    }
}

fn dtype(array: &Array) -> DType {
    match array {
        Array::F32(_) => DType::F32,
        Array::I64(_) => DType::I64,
    }
}

fn dims(column: &Column) -> Vec<u64> {
    column.shape.iter().map(|dim| *dim as u64).collect()
}

/// Demands that a model has a number for each class: labels beyond would have no loss.
fn check_classes(plan: &Plan, target: &Column) -> Result<(), String> {
    let Some(classes) = target.classes else {
        return Ok(());
    };
    let Some(graph) = plan.graph(TRAIN) else {
        return Ok(());
    };
    let mut results = graph.outputs().iter();
    let result = results.find(|output| matches!(output.key, OutputKey::Result(..)));
    let given = result.and_then(|output| graph.ty(output.value).dims()?.get(1)?.known());
    match given {
        Some(given) if given < classes as u64 => Err(format!(
            "the model gives {given} logits a sample, but the data has {classes} classes"
        )),
        _ => Ok(()),
    }
}
