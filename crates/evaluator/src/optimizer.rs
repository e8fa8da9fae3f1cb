//! Optimizers, with PyTorch's semantics. The graph holds the update; the host computes the
//! coefficients of every step, so that models that differ only there still have one graph.

use std::fmt::Debug;
use std::sync::Arc;

use syncarp_ir::{Attrs, BuildError, GraphBuilder, Value};

use crate::registry::{EvaluatorRegistry, RegisterError};

/// An optimizer. What it prints as `Debug` must say every setting, since evaluators are
/// compared by that.
pub trait Optimizer: Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The learning rate before any schedule.
    fn rate(&self) -> f64;

    /// The tensors that it keeps for each parameter, of the parameter's shape, zero at first.
    fn slots(&self) -> &'static [&'static str];

    /// The names of its coefficients.
    fn coefficients(&self) -> &'static [&'static str];

    /// The coefficients of a step (counted from 0) under a scheduled learning rate.
    fn values(&self, step: u64, rate: f64, out: &mut Vec<f64>);

    /// Emits the update of one parameter: its next value, then the slots' next values.
    ///
    /// # Errors
    /// Where types do not fit.
    fn emit(
        &self,
        b: &mut GraphBuilder,
        parameter: Value,
        gradient: Value,
        slots: &[Value],
        coefficients: &[Value],
    ) -> Result<Vec<Value>, BuildError>;
}

pub(crate) fn register(registry: &mut EvaluatorRegistry) -> Result<(), RegisterError> {
    registry.add_optimizer(
        "sgd",
        "Stochastic gradient descent; options `lr`, `momentum` (0), `dampening` (0), `nesterov` \
         (false), `weight-decay` (0).",
        |o| {
            let rate = o.required("lr", 0.0..=f64::MAX, "the learning rate, such as 0.1")?;
            let momentum = o.number("momentum", 0.0, 0.0..=f64::MAX)?;
            let dampening = o.number("dampening", 0.0, 0.0..=1.0)?;
            let nesterov = o.bool("nesterov", false)?;
            let weight_decay = o.number("weight-decay", 0.0, 0.0..=f64::MAX)?;
            if nesterov && (momentum == 0.0 || dampening != 0.0) {
                return Err(crate::OptionError::Value {
                    owner: "sgd".to_owned(),
                    option: "nesterov".to_owned(),
                    expected: "false unless momentum is above 0 and dampening is 0".to_owned(),
                });
            }
            if momentum == 0.0 {
                return Ok(Arc::new(Sgd { rate, weight_decay }));
            }
            Ok(Arc::new(Momentum {
                rate,
                weight_decay,
                momentum,
                dampening,
                nesterov,
            }))
        },
    )?;
    registry.add_optimizer(
        "adam",
        "Adam (Kingma and Ba, 2015); options `lr` (0.001), `betas` ([0.9, 0.999]), `eps` (1e-8), \
         `weight-decay` (0, added to the gradient).",
        |o| adam(o, false, 0.0),
    )?;
    registry.add_optimizer(
        "adamw",
        "AdamW (Loshchilov and Hutter, 2019); options as `adam`, `weight-decay` (0.01) decoupled.",
        |o| adam(o, true, 0.01),
    )
}

fn adam(
    o: &mut crate::Options,
    decoupled: bool,
    decay: f64,
) -> Result<Arc<dyn Optimizer>, crate::OptionError> {
    let rate = o.number("lr", 0.001, 0.0..=f64::MAX)?;
    let betas = o.numbers("betas", &[0.9, 0.999])?;
    let [beta1, beta2] = betas[..] else {
        return Err(betas_error(decoupled));
    };
    if !(0.0..1.0).contains(&beta1) || !(0.0..1.0).contains(&beta2) {
        return Err(betas_error(decoupled));
    }
    let eps = o.number("eps", 1e-8, 0.0..=f64::MAX)?;
    let weight_decay = o.number("weight-decay", decay, 0.0..=f64::MAX)?;
    Ok(Arc::new(Adam {
        rate,
        beta1,
        beta2,
        eps,
        weight_decay,
        decoupled,
    }))
}

fn betas_error(decoupled: bool) -> crate::OptionError {
    crate::OptionError::Value {
        owner: if decoupled { "adamw" } else { "adam" }.to_owned(),
        option: "betas".to_owned(),
        expected: "two numbers of at least 0 and below 1".to_owned(),
    }
}

#[derive(Debug)]
struct Sgd {
    rate: f64,
    weight_decay: f64,
}

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }
    fn rate(&self) -> f64 {
        self.rate
    }
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }
    fn coefficients(&self) -> &'static [&'static str] {
        &["lr", "weight_decay"]
    }
    fn values(&self, _: u64, rate: f64, out: &mut Vec<f64>) {
        out.extend([rate, self.weight_decay]);
    }
    fn emit(
        &self,
        b: &mut GraphBuilder,
        parameter: Value,
        gradient: Value,
        _: &[Value],
        c: &[Value],
    ) -> Result<Vec<Value>, BuildError> {
        Ok(
            b.emit("sgd", &[parameter, gradient, c[0], c[1]], Attrs::new())?
                .to_vec(),
        )
    }
}

#[derive(Debug)]
struct Momentum {
    rate: f64,
    weight_decay: f64,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
}

impl Optimizer for Momentum {
    fn name(&self) -> &'static str {
        "sgd"
    }
    fn rate(&self) -> f64 {
        self.rate
    }
    fn slots(&self) -> &'static [&'static str] {
        &["momentum_buffer"]
    }
    fn coefficients(&self) -> &'static [&'static str] {
        &["lr", "weight_decay", "momentum", "dampening"]
    }
    fn values(&self, step: u64, rate: f64, out: &mut Vec<f64>) {
        // The first step takes the gradient undampened, as PyTorch initialises its buffer.
        let dampening = if step == 0 { 0.0 } else { self.dampening };
        out.extend([rate, self.weight_decay, self.momentum, dampening]);
    }
    fn emit(
        &self,
        b: &mut GraphBuilder,
        parameter: Value,
        gradient: Value,
        slots: &[Value],
        c: &[Value],
    ) -> Result<Vec<Value>, BuildError> {
        let operands = [parameter, gradient, slots[0], c[0], c[1], c[2], c[3]];
        let attrs = Attrs::new().with("nesterov", self.nesterov);
        Ok(b.emit("sgd_momentum", &operands, attrs)?.to_vec())
    }
}

#[derive(Debug)]
struct Adam {
    rate: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        if self.decoupled { "adamw" } else { "adam" }
    }
    fn rate(&self) -> f64 {
        self.rate
    }
    fn slots(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }
    fn coefficients(&self) -> &'static [&'static str] {
        &[
            "step_size",
            "rest1",
            "beta2",
            "eps",
            "weight_decay",
            "bias2_sqrt",
            "lr",
            "rest2",
        ]
    }
    fn values(&self, step: u64, rate: f64, out: &mut Vec<f64>) {
        let t = (step + 1) as f64;
        let step_size = rate / (1.0 - self.beta1.powf(t));
        let bias2_sqrt = (1.0 - self.beta2.powf(t)).sqrt();
        out.extend([
            step_size,
            1.0 - self.beta1,
            self.beta2,
            self.eps,
            self.weight_decay,
            bias2_sqrt,
            rate,
            1.0 - self.beta2,
        ]);
    }
    fn emit(
        &self,
        b: &mut GraphBuilder,
        parameter: Value,
        gradient: Value,
        slots: &[Value],
        c: &[Value],
    ) -> Result<Vec<Value>, BuildError> {
        let mut operands = vec![parameter, gradient, slots[0], slots[1]];
        operands.extend_from_slice(c);
        let attrs = Attrs::new().with("decoupled", self.decoupled);
        Ok(b.emit("adam", &operands, attrs)?.to_vec())
    }
}
