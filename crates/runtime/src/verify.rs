//! The differential checker: train merged, train alone, compare every number to the bit.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncarp_engine::{Engine, Snapshot};
use syncarp_ir::TensorData;
use syncarp_place::Device;

use crate::planner::{Planner, Trial};
use crate::session::run;
use crate::settings::{RunOptions, Settings};
use crate::{DriveError, Listener, ModelEvent, ModelId, Point};

/// What was seen of one model.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The loss of every step.
    pub losses: Vec<(u64, f64)>,
    /// Every metric, by name and point.
    pub metrics: BTreeMap<(String, Point), f64>,
    /// All states at the end.
    pub last: Option<Arc<Snapshot>>,
    /// How it ended: `finished`, or why not.
    pub end: String,
}

/// How one model compares.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The model.
    pub name: Arc<str>,
    /// Numbers compared: losses, metrics and elements of states.
    pub compared: u64,
    /// Numbers that are not the same bits.
    pub different: u64,
    /// The largest difference, relative to the larger magnitude; infinite where one side is
    /// missing or only one is a number.
    pub largest: f64,
    /// Where the largest difference is.
    pub place: String,
    /// How it ended, merged.
    pub end: String,
}

impl Difference {
    /// Whether every number is the same to the bit.
    pub fn is_bitwise(&self) -> bool {
        self.different == 0
    }
}

#[derive(Default)]
struct Recorder(Vec<Series>);

impl Recorder {
    fn of(&mut self, model: ModelId) -> &mut Series {
        &mut self.0[model.0 as usize]
    }
}

impl Listener for Recorder {
    fn delivered(&mut self, model: ModelId, event: &ModelEvent) {
        let series = self.of(model);
        match event {
            ModelEvent::Metric(m) => {
                series.metrics.insert((m.name.clone(), m.at), m.value);
            }
            ModelEvent::Finished { .. } => series.end = "finished".to_owned(),
            ModelEvent::Failed { cause } => series.end = cause.to_string(),
            ModelEvent::Stopped => series.end = "stopped".to_owned(),
            ModelEvent::Started { .. } | ModelEvent::Checkpoint { .. } => {}
        }
    }
    fn checkpoint(&mut self, model: ModelId, _: Option<&Arc<Snapshot>>, last: &Arc<Snapshot>) {
        self.of(model).last = Some(last.clone());
    }
    fn loss(&mut self, model: ModelId, step: u64, loss: f64) {
        self.of(model).losses.push((step, loss));
    }
}

/// Runs trials together and records everything.
///
/// # Errors
/// As [`run`].
pub fn record(
    trials: &[Trial],
    devices: &[Device],
    planner: &Planner,
    engine: &mut dyn Engine,
    max_steps: Option<u64>,
) -> Result<Vec<Series>, DriveError> {
    let mut recorder = Recorder(vec![Series::default(); trials.len()]);
    let settings = Settings {
        options: RunOptions {
            max_steps,
            step_losses: true,
        },
        ..Settings::new(devices.to_vec())
    };
    run(trials, &settings, planner, engine, &mut recorder)?;
    Ok(recorder.0)
}

/// Trains trials merged, then each alone, and compares every loss, metric and final state.
/// `alone` tells when each model was trained alone, for progress.
///
/// # Errors
/// As [`run`].
pub fn verify(
    trials: &[Trial],
    devices: &[Device],
    planner: &Planner,
    engine: &mut dyn Engine,
    max_steps: Option<u64>,
    alone: &mut dyn FnMut(usize),
) -> Result<Vec<Difference>, DriveError> {
    let merged = record(trials, devices, planner, engine, max_steps)?;
    let mut differences = Vec::new();
    for (index, (trial, merged)) in trials.iter().zip(&merged).enumerate() {
        let one = std::slice::from_ref(trial);
        let single = record(one, devices, planner, engine, max_steps)?;
        differences.push(compare(trial.submission.name.clone(), merged, &single[0]));
        alone(index);
    }
    Ok(differences)
}

/// Compares two records of one model.
pub fn compare(name: Arc<str>, a: &Series, b: &Series) -> Difference {
    let mut difference = Difference {
        name,
        compared: 0,
        different: 0,
        largest: 0.0,
        place: String::new(),
        end: a.end.clone(),
    };
    let missing = |d: &mut Difference, place: String| {
        d.compared += 1;
        d.different += 1;
        d.largest = f64::INFINITY;
        d.place = place;
    };
    if a.end != b.end {
        missing(
            &mut difference,
            format!("ended `{}` and `{}`", a.end, b.end),
        );
    }
    if a.losses.len() != b.losses.len() {
        missing(
            &mut difference,
            format!("{} and {} steps", a.losses.len(), b.losses.len()),
        );
    }
    for ((step, x), (_, y)) in a.losses.iter().zip(&b.losses) {
        difference.number(*x, *y, || format!("loss of step {step}"));
    }
    let keys: std::collections::BTreeSet<_> = a.metrics.keys().chain(b.metrics.keys()).collect();
    for key in keys {
        let place = || format!("{} at {}", key.0, key.1);
        match (a.metrics.get(key), b.metrics.get(key)) {
            (Some(x), Some(y)) => difference.number(*x, *y, place),
            _ => missing(&mut difference, place()),
        }
    }
    let tensors = |s: &Series| {
        s.last
            .as_ref()
            .map(|l| l.tensors.clone())
            .unwrap_or_default()
    };
    let (left, right) = (tensors(a), tensors(b));
    if left.len() != right.len() {
        missing(
            &mut difference,
            format!("{} and {} states", left.len(), right.len()),
        );
    }
    for (x, y) in left.iter().zip(&right) {
        if x.path != y.path || x.dims != y.dims {
            missing(&mut difference, format!("state {} and {}", x.path, y.path));
            continue;
        }
        let place = || format!("state {}", x.path);
        match (&x.data, &y.data) {
            (TensorData::Float(p), TensorData::Float(q)) => {
                p.iter()
                    .zip(q)
                    .for_each(|(p, q)| difference.number(*p, *q, place));
            }
            (TensorData::Int(p), TensorData::Int(q)) => {
                p.iter()
                    .zip(q)
                    .for_each(|(p, q)| difference.number(*p as f64, *q as f64, place));
            }
            _ => missing(&mut difference, place()),
        }
    }
    difference
}

impl Difference {
    fn number(&mut self, x: f64, y: f64, place: impl Fn() -> String) {
        self.compared += 1;
        if x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()) {
            return;
        }
        self.different += 1;
        let relative = (x - y).abs() / x.abs().max(y.abs());
        let relative = if relative.is_nan() {
            f64::INFINITY
        } else {
            relative
        };
        if relative > self.largest || self.place.is_empty() {
            self.largest = self.largest.max(relative);
            self.place = place();
        }
    }
}
