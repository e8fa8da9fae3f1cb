//! What is known of a model's training: what tables, results and JSON are made of.

use std::cmp::Ordering;

use serde_json::{Map, Value as Json, json};
use syncarp_runtime::{Metric, ModelEvent, Point};
use syncarp_standard::Submitted;
use syncarp_sweep::{ModelSpec, Value};

/// Where a model's training stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Waiting,
    Running,
    Finished,
    Failed,
    Stopped,
}

impl State {
    /// All, in the order of a model's way.
    pub const ALL: [State; 5] = [
        State::Waiting,
        State::Running,
        State::Finished,
        State::Failed,
        State::Stopped,
    ];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Finished => "finished",
            State::Failed => "failed",
            State::Stopped => "stopped",
        }
    }

    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Metrics by name, in the order in which they were told.
pub(crate) type Metrics = Vec<(String, f64)>;

/// One model's training.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub name: String,
    pub settings: Vec<(String, Json)>,
    pub hash: String,
    pub state: State,
    /// Why it failed.
    pub cause: Option<String>,
    pub assembly: Option<u32>,
    pub device: Option<String>,
    /// Epochs done, and how many there are to be.
    pub epochs: u64,
    pub of: u64,
    /// Those of the last epoch, and of the test part once that is told.
    pub metrics: Metrics,
    /// The epoch and its metrics that the best checkpoint is of.
    pub best: Option<(u64, Metrics)>,
    /// The metric that the model is judged by, and whether larger is better.
    pub judged_by: (String, bool),
    pub optimizer: String,
    /// Whether this is an earlier run's result.
    pub skipped: bool,
}

impl Record {
    /// A model that was not begun.
    pub fn new(model: &ModelSpec, submitted: &Submitted) -> Self {
        let evaluator = &submitted.trial.submission.evaluator;
        let first = evaluator.metrics.first();
        let judged_by = first.map_or(("loss".to_owned(), false), |metric| {
            (metric.name().to_owned(), metric.larger_is_better())
        });
        let setting = |(name, value): &(String, Value)| (name.clone(), value.to_json());
        Record {
            name: model.name.clone(),
            settings: model.settings.iter().map(setting).collect(),
            hash: submitted.hash.clone(),
            state: State::Waiting,
            cause: None,
            assembly: None,
            device: None,
            epochs: 0,
            of: evaluator.epochs,
            metrics: Vec::new(),
            best: None,
            judged_by,
            optimizer: model.training.optimizer.name.value.clone(),
            skipped: false,
        }
    }

    /// Takes in what was delivered.
    pub fn take(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Started { .. } => self.state = State::Running,
            ModelEvent::Metric(metric) => self.metric(metric),
            ModelEvent::Checkpoint { .. } => {}
            ModelEvent::Finished { .. } => self.state = State::Finished,
            ModelEvent::Failed { cause } => {
                self.state = State::Failed;
                self.cause = Some(cause.to_string());
            }
            ModelEvent::Stopped => self.state = State::Stopped,
        }
    }

    fn metric(&mut self, metric: &Metric) {
        if let Point::Epoch(epoch) = metric.at
            && epoch > self.epochs
        {
            self.epochs = epoch;
            self.metrics.clear();
        }
        match self
            .metrics
            .iter_mut()
            .find(|(name, _)| *name == metric.name)
        {
            Some((_, value)) => *value = metric.value,
            None => self.metrics.push((metric.name.clone(), metric.value)),
        }
        if !matches!(metric.at, Point::Epoch(_)) {
            return;
        }
        // The judging metric decides; the epoch's others follow it into the best ones.
        if metric.name == self.judged_by.0 {
            let old = self
                .best
                .as_ref()
                .and_then(|(_, best)| number(best, &metric.name));
            let better = match (old, self.judged_by.1) {
                (None, _) => true,
                (Some(old), true) => metric.value > old,
                (Some(old), false) => metric.value < old,
            };
            if better && metric.value.is_finite() {
                self.best = Some((self.epochs, self.metrics.clone()));
            }
        } else if let Some((epoch, best)) = &mut self.best
            && *epoch == self.epochs
            && number(best, &metric.name).is_none()
        {
            best.push((metric.name.clone(), metric.value));
        }
    }

    /// The last value of a metric.
    pub fn value(&self, name: &str) -> Option<f64> {
        number(&self.metrics, name)
    }

    /// As a file in the run's folder and as an entry of `run --json`.
    pub fn to_json(&self) -> Json {
        let settings: Map<String, Json> = self.settings.iter().cloned().collect();
        let mut all = json!({
            "name": self.name,
            "settings": settings,
            "state": self.state.name(),
            "assembly": self.assembly,
            "device": self.device,
            "epochs": self.epochs,
            "metrics": object(&self.metrics),
            "best": self.best.as_ref().map(|(epoch, metrics)| {
                json!({ "epoch": epoch, "metrics": object(metrics) })
            }),
        });
        if let Some(cause) = &self.cause {
            all["cause"] = json!(cause);
        }
        all
    }

    /// Takes over an earlier run's result, if it is a finished one of the very same model.
    pub fn resume(&mut self, earlier: &Json) -> bool {
        let state = earlier["state"].as_str().and_then(State::from_name);
        if state != Some(State::Finished) || earlier["hash"].as_str() != Some(&self.hash) {
            return false;
        }
        self.state = State::Finished;
        self.skipped = true;
        self.assembly = earlier["assembly"]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok());
        self.device = earlier["device"].as_str().map(str::to_owned);
        self.epochs = earlier["epochs"].as_u64().unwrap_or(self.of);
        self.metrics = metrics(&earlier["metrics"]);
        let best = &earlier["best"];
        self.best = best["epoch"]
            .as_u64()
            .map(|epoch| (epoch, metrics(&best["metrics"])));
        true
    }
}

fn number(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| *value)
}

fn object(metrics: &Metrics) -> Json {
    // What is not finite becomes null: JSON has no such numbers.
    Json::Object(
        metrics
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect(),
    )
}

fn metrics(json: &Json) -> Metrics {
    let entries = json.as_object().into_iter().flatten();
    entries
        .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
        .collect()
}

/// The names of all swept settings, in order of first appearance.
pub(crate) fn setting_names(records: &[Record]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in records.iter().flat_map(|record| &record.settings) {
        if !names.contains(&&**name) {
            names.push(name);
        }
    }
    names
}

/// The names of all metrics, `loss` first and `train_loss` last.
pub(crate) fn metric_names(records: &[Record]) -> Vec<&str> {
    let mut names = vec!["loss"];
    for (name, _) in records.iter().flat_map(|record| &record.metrics) {
        if name != "train_loss" && !names.contains(&&**name) {
            names.push(name);
        }
    }
    names.push("train_loss");
    names
}

/// Records best first: by the metric that they are judged by, finished ones before all others.
pub(crate) fn best_first(records: &[Record]) -> Vec<&Record> {
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by(|a, b| {
        let done = |record: &Record| record.state == State::Finished;
        let judged = |a: &Record, b: &Record| {
            if a.judged_by != b.judged_by {
                return Ordering::Equal;
            }
            let (name, larger) = &a.judged_by;
            let score = |record: &Record| {
                let value = record.value(name).filter(|v| v.is_finite());
                value.map_or(f64::NEG_INFINITY, |v| if *larger { v } else { -v })
            };
            score(b).total_cmp(&score(a))
        };
        let loss = |record: &Record| record.value("loss").unwrap_or(f64::INFINITY);
        (done(b).cmp(&done(a)))
            .then_with(|| a.judged_by.0.cmp(&b.judged_by.0))
            .then_with(|| judged(a, b))
            .then_with(|| loss(a).total_cmp(&loss(b)))
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncarp_runtime::Attempt;

    fn record(name: &str, judged_by: (&str, bool)) -> Record {
        Record {
            name: name.to_owned(),
            settings: Vec::new(),
            hash: "h".to_owned(),
            state: State::Waiting,
            cause: None,
            assembly: None,
            device: None,
            epochs: 0,
            of: 2,
            metrics: Vec::new(),
            best: None,
            judged_by: (judged_by.0.to_owned(), judged_by.1),
            optimizer: "adam".to_owned(),
            skipped: false,
        }
    }

    fn told(record: &mut Record, epoch: u64, metrics: &[(&str, f64)]) {
        for (name, value) in metrics {
            let metric = Metric {
                attempt: Attempt(1),
                name: (*name).to_owned(),
                at: Point::Epoch(epoch),
                value: *value,
            };
            record.take(&ModelEvent::Metric(metric));
        }
    }

    #[test]
    fn the_best_epoch_keeps_all_of_its_metrics() {
        for order in [["loss", "accuracy"], ["accuracy", "loss"]] {
            let mut model = record("a", ("accuracy", true));
            let epochs = [[0.5, 0.6], [0.4, 0.9], [0.3, 0.8], [f64::NAN, f64::NAN]];
            for (place, [loss, accuracy]) in epochs.into_iter().enumerate() {
                let value = |name: &str| if name == "loss" { loss } else { accuracy };
                let metrics = order.map(|name| (name, value(name)));
                told(&mut model, place as u64 + 1, &metrics);
            }
            let (epoch, best) = model.best.unwrap();
            assert_eq!(epoch, 2);
            assert_eq!(
                (number(&best, "loss"), number(&best, "accuracy")),
                (Some(0.4), Some(0.9))
            );
            assert_eq!(model.epochs, 4);
        }
    }

    #[test]
    fn only_a_finished_result_of_the_same_model_is_resumed() {
        let mut model = record("a", ("loss", false));
        told(&mut model, 1, &[("train_loss", 0.1), ("loss", 0.1 + 0.2)]);
        model.take(&ModelEvent::Finished {
            attempt: Attempt(1),
        });
        let mut json = model.to_json();
        json["hash"] = json!("h");
        let text = json.to_string();
        let earlier: Json = serde_json::from_str(&text).unwrap();
        let mut again = record("a", ("loss", false));
        assert!(again.resume(&earlier));
        assert_eq!(again.metrics, model.metrics);
        assert_eq!(again.best, model.best);
        let other = |key: &str, value: &str| {
            let mut other = earlier.clone();
            other[key] = json!(value);
            other
        };
        for wrong in [
            other("hash", "g"),
            other("state", "failed"),
            json!(null),
            json!([1]),
        ] {
            assert!(!record("a", ("loss", false)).resume(&wrong), "{wrong}");
        }
    }

    #[test]
    fn the_best_are_first_and_the_failed_last() {
        let mut models = Vec::new();
        for (name, accuracy, done) in [
            ("fair", 0.7, true),
            ("failed", 0.99, false),
            ("good", 0.9, true),
            ("odd", f64::NAN, true),
        ] {
            let mut model = record(name, ("accuracy", true));
            told(&mut model, 1, &[("loss", 0.5), ("accuracy", accuracy)]);
            model.state = if done { State::Finished } else { State::Failed };
            models.push(model);
        }
        let names: Vec<&str> = best_first(&models)
            .iter()
            .map(|m| m.name.as_str())
            .collect();
        assert_eq!(names, ["good", "fair", "odd", "failed"]);
        assert_eq!(metric_names(&models), ["loss", "accuracy", "train_loss"]);
    }
}
