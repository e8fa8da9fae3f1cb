//! Metrics: init / update / finish, since not all of them average.

use std::fmt::Debug;
use std::sync::Arc;

use syncarp_ir::{Attrs, BuildError, GraphBuilder, Value};

use crate::loss::like;
use crate::registry::{EvaluatorRegistry, RegisterError};

/// A metric over a part of a data set. What it prints as `Debug` must say every setting, since evaluators are
/// compared by that.
pub trait Metric: Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Whether larger is better.
    fn larger_is_better(&self) -> bool;

    /// Emits one batch's statistics, scalars, from a prediction and a target.
    ///
    /// # Errors
    /// Where their types do not fit.
    fn emit(
        &self,
        b: &mut GraphBuilder,
        prediction: Value,
        target: Value,
    ) -> Result<Vec<Value>, BuildError>;

    /// How many numbers are kept from batch to batch; they begin at zero.
    fn width(&self) -> usize;

    /// Takes in one batch of `rows` samples.
    fn update(&self, kept: &mut [f64], batch: &[f64], rows: usize) {
        let _ = rows;
        for (kept, new) in kept.iter_mut().zip(batch) {
            *kept += new;
        }
    }

    /// The metric of all batches, of `rows` samples together.
    fn finish(&self, kept: &[f64], rows: usize) -> f64;
}

pub(crate) fn register(registry: &mut EvaluatorRegistry) -> Result<(), RegisterError> {
    registry.add_metric(
        "accuracy",
        "The fraction of samples whose largest logit is the target's.",
        |_| Ok(Arc::new(Accuracy)),
    )?;
    registry.add_metric("mse", "Mean squared error.", |_| {
        Ok(Arc::new(SquaredError { root: false }))
    })?;
    registry.add_metric(
        "rmse",
        "Root of the mean squared error over the whole part.",
        |_| Ok(Arc::new(SquaredError { root: true })),
    )?;
    registry.add_metric("mae", "Mean absolute error.", |_| {
        Ok(Arc::new(AbsoluteError))
    })?;
    registry.add_metric(
        "r2",
        "Coefficient of determination over the whole part: 1 less residual by total squares.",
        |_| Ok(Arc::new(R2)),
    )
}

#[derive(Debug)]
struct Accuracy;

impl Metric for Accuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }
    fn larger_is_better(&self) -> bool {
        true
    }
    fn emit(&self, b: &mut GraphBuilder, x: Value, y: Value) -> Result<Vec<Value>, BuildError> {
        Ok(vec![b.emit1("correct", &[x, y], Attrs::new())?])
    }
    fn width(&self) -> usize {
        1
    }
    fn finish(&self, kept: &[f64], rows: usize) -> f64 {
        kept[0] / rows as f64
    }
}

fn call(b: &mut GraphBuilder, op: &str, operands: &[Value]) -> Result<Value, BuildError> {
    b.emit1(op, operands, Attrs::new())
}

/// The mean over every element of a batch.
fn mean(b: &mut GraphBuilder, x: Value) -> Result<Value, BuildError> {
    let rank = b.ty(x).rank().unwrap_or(1) as i64;
    let axes: Vec<i64> = (0..rank).collect();
    b.emit1(
        "mean",
        &[x],
        Attrs::new().with("axes", axes).with("keep", false),
    )
}

#[derive(Debug)]
struct SquaredError {
    root: bool,
}

impl Metric for SquaredError {
    fn name(&self) -> &'static str {
        if self.root { "rmse" } else { "mse" }
    }
    fn larger_is_better(&self) -> bool {
        false
    }
    fn emit(&self, b: &mut GraphBuilder, x: Value, y: Value) -> Result<Vec<Value>, BuildError> {
        let y = like(b, y, x)?;
        let d = call(b, "sub", &[x, y])?;
        let square = call(b, "mul", &[d, d])?;
        Ok(vec![mean(b, square)?])
    }
    fn width(&self) -> usize {
        1
    }
    fn update(&self, kept: &mut [f64], batch: &[f64], rows: usize) {
        kept[0] += batch[0] * rows as f64;
    }
    fn finish(&self, kept: &[f64], rows: usize) -> f64 {
        let mean = kept[0] / rows as f64;
        if self.root { mean.sqrt() } else { mean }
    }
}

#[derive(Debug)]
struct AbsoluteError;

impl Metric for AbsoluteError {
    fn name(&self) -> &'static str {
        "mae"
    }
    fn larger_is_better(&self) -> bool {
        false
    }
    fn emit(&self, b: &mut GraphBuilder, x: Value, y: Value) -> Result<Vec<Value>, BuildError> {
        let y = like(b, y, x)?;
        let d = call(b, "sub", &[x, y])?;
        let size = call(b, "abs", &[d])?;
        Ok(vec![mean(b, size)?])
    }
    fn width(&self) -> usize {
        1
    }
    fn update(&self, kept: &mut [f64], batch: &[f64], rows: usize) {
        kept[0] += batch[0] * rows as f64;
    }
    fn finish(&self, kept: &[f64], rows: usize) -> f64 {
        kept[0] / rows as f64
    }
}

/// Residual and total squares need the target's mean, which no batch knows alone; sums of squares
/// about zero are kept instead and combined at the end.
#[derive(Debug)]
struct R2;

impl Metric for R2 {
    fn name(&self) -> &'static str {
        "r2"
    }
    fn larger_is_better(&self) -> bool {
        true
    }
    fn emit(&self, b: &mut GraphBuilder, x: Value, y: Value) -> Result<Vec<Value>, BuildError> {
        let y = like(b, y, x)?;
        let d = call(b, "sub", &[x, y])?;
        let residual = call(b, "mul", &[d, d])?;
        let square = call(b, "mul", &[y, y])?;
        Ok(vec![mean(b, residual)?, mean(b, y)?, mean(b, square)?])
    }
    fn width(&self) -> usize {
        3
    }
    fn update(&self, kept: &mut [f64], batch: &[f64], rows: usize) {
        for (kept, new) in kept.iter_mut().zip(batch) {
            *kept += new * rows as f64;
        }
    }
    fn finish(&self, kept: &[f64], rows: usize) -> f64 {
        let n = rows as f64;
        1.0 - (kept[0] / n) / (kept[2] / n - (kept[1] / n).powi(2))
    }
}
