//! Meeting the evaluator: a model graph gets its target, its loss and its metrics.

use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{
    Attrs, BuildError, DType, Dim, GraphBuilder, Model, OutputKey, Plan, Role, TensorType, Value,
};
use thiserror::Error;

use crate::Evaluator;

/// The name of the input that holds the targets.
pub const TARGET: &str = "y";

/// Why a model and an evaluator do not fit. The fault is the submitter's.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// The model gives nothing back.
    #[error("the model has no result to judge")]
    NoResult,
    /// The loss or a metric does not take this prediction and target.
    #[error(
        "`{judge}` does not fit a prediction of type {prediction} and a target of type {target}: {error}"
    )]
    Types {
        /// The loss or metric.
        judge: &'static str,
        /// The prediction's type.
        prediction: Box<TensorType>,
        /// The target's type.
        target: Box<TensorType>,
        /// What is wrong.
        error: BuildError,
    },
    /// The target cannot be an input.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Adds the loss and the metrics of the first result of model 0 to every graph of a plan of one
/// model. `target` is the target's element type and the dims of one sample.
///
/// # Errors
/// Where the model has no result, or loss or metric do not fit it.
pub fn judge(
    plan: &mut Plan,
    evaluator: &Evaluator,
    target: (DType, &[u64]),
) -> Result<(), JudgeError> {
    let model = Model::new(0);
    for (_, graph) in &mut plan.graphs {
        let outputs = graph.outputs().iter();
        let mut results = outputs.filter(|o| matches!(o.key, OutputKey::Result(..)));
        let prediction = results.next().ok_or(JudgeError::NoResult)?.value;
        let batch = graph.ty(prediction).dims().and_then(|d| d.first()).cloned();
        let batch = batch.unwrap_or_else(|| Dim::symbol("n"));
        let mut b = GraphBuilder::over(graph.clone());
        b.set_origin(model, "loss", Role::Loss);
        let mut dims = vec![batch];
        dims.extend(target.1.iter().copied().map(Dim::Known));
        let attrs = Attrs::new().with("model", model).with("name", TARGET);
        let attrs = attrs.with("dtype", target.0).with("dims", dims);
        let y = b.emit1(INPUT, &[], attrs)?;
        let types = |b: &GraphBuilder, judge, error| JudgeError::Types {
            judge,
            prediction: Box::new(b.ty(prediction).clone()),
            target: Box::new(b.ty(y).clone()),
            error,
        };
        let loss = evaluator.loss.emit(&mut b, prediction, y);
        let loss = loss.map_err(|e| types(&b, evaluator.loss.name(), e))?;
        b.output(OutputKey::Loss(model), loss);
        for metric in &evaluator.metrics {
            b.set_origin(model, metric.name(), Role::Metric);
            let statistics: Vec<Value> = metric
                .emit(&mut b, prediction, y)
                .map_err(|e| types(&b, metric.name(), e))?;
            for (i, value) in statistics.into_iter().enumerate() {
                let name = format!("{}.{i}", metric.name());
                b.output(OutputKey::Metric(model, name.into()), value);
            }
        }
        *graph = b.finish();
    }
    Ok(())
}
