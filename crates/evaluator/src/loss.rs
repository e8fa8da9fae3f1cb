//! Losses: a scalar to train on, averaged over the batch.

use std::fmt::Debug;
use std::sync::Arc;

use syncarp_ir::{Attrs, BuildError, GraphBuilder, Value};

use crate::options::{OptionError, Options};
use crate::registry::{EvaluatorRegistry, RegisterError};

/// A loss. What it prints as `Debug` must say every setting, since evaluators are
/// compared by that.
pub trait Loss: Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Emits the batch's mean loss, a scalar, from a prediction and a target.
    ///
    /// # Errors
    /// Where their types do not fit.
    fn emit(
        &self,
        b: &mut GraphBuilder,
        prediction: Value,
        target: Value,
    ) -> Result<Value, BuildError>;
}

pub(crate) fn register(registry: &mut EvaluatorRegistry) -> Result<(), RegisterError> {
    registry.add_loss(
        "cross-entropy",
        "Cross entropy of logits [n, classes, ...] against class numbers [n, ...]; option \
         `label-smoothing`.",
        |o| {
            let label_smoothing = o.number("label-smoothing", 0.0, 0.0..=1.0)?;
            Ok(Arc::new(CrossEntropy { label_smoothing }))
        },
    )?;
    registry.add_loss(
        "mse",
        "Mean squared error of values against targets of one shape.",
        |o| plain(o, "mse", "mse_loss"),
    )?;
    registry.add_loss("l1", "Mean absolute error.", |o| plain(o, "l1", "l1_loss"))?;
    registry.add_loss(
        "huber",
        "Huber's loss: quadratic up to option `delta` (1), linear beyond.",
        |o| {
            Ok(Arc::new(Huber {
                delta: o.number("delta", 1.0, 1e-12..=f64::MAX)?,
            }))
        },
    )?;
    registry.add_loss(
        "bce-with-logits",
        "Binary cross entropy of logits against targets in [0, 1] of one shape.",
        |o| plain(o, "bce-with-logits", "bce_with_logits"),
    )
}

fn plain(
    _: &mut Options,
    name: &'static str,
    op: &'static str,
) -> Result<Arc<dyn Loss>, OptionError> {
    Ok(Arc::new(Plain { name, op }))
}

#[derive(Debug)]
struct CrossEntropy {
    label_smoothing: f64,
}

impl Loss for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn emit(&self, b: &mut GraphBuilder, x: Value, target: Value) -> Result<Value, BuildError> {
        let mut attrs = Attrs::new();
        if self.label_smoothing != 0.0 {
            attrs.set("label_smoothing", self.label_smoothing);
        }
        b.emit1("cross_entropy", &[x, target], attrs)
    }
}

/// A loss that is one op of prediction and target of one shape.
#[derive(Debug)]
struct Plain {
    name: &'static str,
    op: &'static str,
}

impl Loss for Plain {
    fn name(&self) -> &'static str {
        self.name
    }

    fn emit(&self, b: &mut GraphBuilder, x: Value, target: Value) -> Result<Value, BuildError> {
        let target = like(b, target, x)?;
        b.emit1(self.op, &[x, target], Attrs::new())
    }
}

#[derive(Debug)]
struct Huber {
    delta: f64,
}

impl Loss for Huber {
    fn name(&self) -> &'static str {
        "huber"
    }

    fn emit(&self, b: &mut GraphBuilder, x: Value, target: Value) -> Result<Value, BuildError> {
        let target = like(b, target, x)?;
        let dtype = b.ty(x).dtype.unwrap_or(syncarp_ir::DType::F32);
        let delta = b.constant(dtype, self.delta)?;
        b.emit1("huber_loss", &[x, target, delta], Attrs::new())
    }
}

/// The target in the prediction's shape: a column of n values for predictions [n, 1].
pub(crate) fn like(
    b: &mut GraphBuilder,
    target: Value,
    prediction: Value,
) -> Result<Value, BuildError> {
    let (Some(want), Some(have)) = (b.ty(prediction).dims(), b.ty(target).dims()) else {
        return Ok(target);
    };
    if want.len() == have.len() + 1 && want.last().and_then(syncarp_ir::Dim::known) == Some(1) {
        let dims = want.to_vec();
        return b.emit1("reshape", &[target], Attrs::new().with("dims", dims));
    }
    Ok(target)
}
