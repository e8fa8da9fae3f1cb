//! Learning-rate schedules: the rate of each step, from the rate that the optimizer was given.

use std::fmt::Debug;
use std::sync::Arc;

use crate::registry::{EvaluatorRegistry, RegisterError};

/// Where a training stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Epochs in all.
    pub epochs: u64,
}

impl Progress {
    /// Whole epochs done.
    pub fn epoch(self) -> u64 {
        self.step / self.steps_per_epoch.max(1)
    }

    /// Steps in all.
    pub fn steps(self) -> u64 {
        self.steps_per_epoch * self.epochs
    }
}

/// A schedule. What it prints as `Debug` must say every setting, since evaluators are
/// compared by that.
pub trait Schedule: Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The learning rate of the step to come.
    fn rate(&self, base: f64, at: Progress) -> f64;
}

pub(crate) fn register(registry: &mut EvaluatorRegistry) -> Result<(), RegisterError> {
    registry.add_schedule("constant", "The rate as given.", |_| Ok(Arc::new(Constant)))?;
    registry.add_schedule(
        "step",
        "Times `gamma` (0.1) after every `every` epochs (PyTorch's StepLR).",
        |o| {
            let every = o.required("every", 1.0..=1e9, "a number of epochs")? as u64;
            Ok(Arc::new(Step {
                every,
                gamma: o.number("gamma", 0.1, 0.0..=f64::MAX)?,
            }))
        },
    )?;
    registry.add_schedule(
        "exponential",
        "Times `gamma` after every epoch (PyTorch's ExponentialLR).",
        |o| {
            let gamma = o.required("gamma", 0.0..=f64::MAX, "a factor such as 0.95")?;
            Ok(Arc::new(Step { every: 1, gamma }))
        },
    )?;
    registry.add_schedule(
        "cosine",
        "Half a cosine from the rate to `min` times the rate (0), step by step over all epochs, \
         after `warmup` epochs (0) of linear rise.",
        |o| {
            let warmup = o.number("warmup", 0.0, 0.0..=1e9)?;
            Ok(Arc::new(Cosine {
                warmup,
                min: o.number("min", 0.0, 0.0..=1.0)?,
            }))
        },
    )?;
    registry.add_schedule(
        "linear",
        "A straight line from the rate to `min` times the rate (0) over all epochs, after `warmup` \
         epochs (0) of linear rise.",
        |o| {
            let warmup = o.number("warmup", 0.0, 0.0..=1e9)?;
            Ok(Arc::new(Linear {
                warmup,
                min: o.number("min", 0.0, 0.0..=1.0)?,
            }))
        },
    )
}

#[derive(Debug)]
struct Constant;

impl Schedule for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }
    fn rate(&self, base: f64, _: Progress) -> f64 {
        base
    }
}

#[derive(Debug)]
struct Step {
    every: u64,
    gamma: f64,
}

impl Schedule for Step {
    fn name(&self) -> &'static str {
        "step"
    }
    fn rate(&self, base: f64, at: Progress) -> f64 {
        base * self.gamma.powf((at.epoch() / self.every) as f64)
    }
}

/// The factor of a linear rise, or how far the rest has come, from 0 to 1.
fn warm(warmup: f64, at: Progress) -> Result<f64, f64> {
    let rise = warmup * at.steps_per_epoch as f64;
    let step = at.step as f64;
    if step < rise {
        return Ok((step + 1.0) / rise.max(1.0));
    }
    Err(((step - rise) / (at.steps() as f64 - rise).max(1.0)).clamp(0.0, 1.0))
}

#[derive(Debug)]
struct Cosine {
    warmup: f64,
    min: f64,
}

impl Schedule for Cosine {
    fn name(&self) -> &'static str {
        "cosine"
    }
    fn rate(&self, base: f64, at: Progress) -> f64 {
        match warm(self.warmup, at) {
            Ok(factor) => base * factor,
            Err(done) => {
                let wave = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
                base * (self.min + (1.0 - self.min) * wave)
            }
        }
    }
}

#[derive(Debug)]
struct Linear {
    warmup: f64,
    min: f64,
}

impl Schedule for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn rate(&self, base: f64, at: Progress) -> f64 {
        match warm(self.warmup, at) {
            Ok(factor) => base * factor,
            Err(done) => base * (1.0 - (1.0 - self.min) * done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_begin_and_end_where_they_say() {
        let at = |step| Progress {
            step,
            steps_per_epoch: 10,
            epochs: 4,
        };
        let step = Step {
            every: 2,
            gamma: 0.1,
        };
        assert_eq!(step.rate(1.0, at(19)), 1.0);
        assert!((step.rate(1.0, at(20)) - 0.1).abs() < 1e-15);
        let cosine = Cosine {
            warmup: 1.0,
            min: 0.0,
        };
        assert!((cosine.rate(1.0, at(0)) - 0.1).abs() < 1e-15);
        assert_eq!(cosine.rate(1.0, at(10)), 1.0);
        assert!(cosine.rate(1.0, at(40)).abs() < 1e-15);
        let linear = Linear {
            warmup: 0.0,
            min: 0.5,
        };
        assert_eq!(linear.rate(2.0, at(0)), 2.0);
        assert_eq!(linear.rate(2.0, at(20)), 1.5);
    }
}
