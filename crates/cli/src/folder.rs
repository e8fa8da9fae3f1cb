//! A run's folder: plans, metrics, results and checkpoints, as they come.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use syncarp_engine::Snapshot;
use syncarp_ir::print;
use syncarp_runtime::{Metric, Planned};

use crate::output::write_atomically;
use crate::record::{Record, State, best_first, metric_names, setting_names};
use crate::report::Failure;
use crate::state_file;

/// A run's folder.
pub(crate) struct Folder {
    path: PathBuf,
    metrics: File,
    /// Batches planned in this run so far.
    batches: usize,
}

impl Folder {
    /// Opens a run's folder, and creates it where it is not there.
    ///
    /// # Errors
    /// Where it cannot be created or written to.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |cause: std::io::Error| Failure::file(path, &cause);
        fs::create_dir_all(path.join("models")).map_err(failed)?;
        let metrics = path.join("metrics.jsonl");
        let mut options = OpenOptions::new();
        let metrics = options
            .create(true)
            .append(true)
            .open(metrics)
            .map_err(failed)?;
        Ok(Folder {
            path: path.to_owned(),
            metrics,
            batches: 0,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps which models there are, before anything is known of them.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn models(&self, records: &[Record]) -> Result<(), Failure> {
        let each = records
            .iter()
            .map(|record| json!({ "name": record.name, "epochs": record.of, "hash": record.hash }));
        let text = format!("{:#}\n", Json::from_iter(each));
        self.write(&self.path.join("models.json"), text.as_bytes())
    }

    fn model(&self, name: &str) -> PathBuf {
        self.path.join("models").join(name)
    }

    /// What an earlier run left of a model; nothing where that cannot be read as a result.
    pub fn earlier(&self, name: &str) -> Option<Json> {
        let text = fs::read(self.model(name).join("result.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<(), Failure> {
        write_atomically(path, content)
            .map_err(|cause| Failure::work(format!("{}: {cause}", path.display())))
    }

    /// Keeps what was planned: the first batch's files have no number.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn planned(&mut self, planned: &Planned) -> Result<(), Failure> {
        if self.batches == 0 {
            self.forget_plans()?;
        }
        self.batches += 1;
        let number = match self.batches {
            1 => String::new(),
            n => format!("-{n}"),
        };
        let at = |when: &str| self.path.join(format!("plan-{when}{number}.syn"));
        self.write(&at("before"), print(&planned.fused).as_bytes())?;
        self.write(&at("after"), print(&planned.logical).as_bytes())
    }

    /// Removes the plans of an earlier run, which may have had more batches than this one.
    fn forget_plans(&self) -> Result<(), Failure> {
        let failed =
            |cause: std::io::Error| Failure::work(format!("{}: {cause}", self.path.display()));
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let numbered = name
                .strip_prefix("plan-before-")
                .or(name.strip_prefix("plan-after-"));
            let number = numbered.and_then(|rest| rest.strip_suffix(".syn"));
            if number.is_some_and(|n| n.parse::<usize>().is_ok()) {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Keeps which models run where.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn assemblies(&self, assemblies: &[Json]) -> Result<(), Failure> {
        let text = format!("{:#}\n", json!(assemblies));
        self.write(&self.path.join("assemblies.json"), text.as_bytes())
    }

    /// Keeps one measurement of a model at once, so that others can read along.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn metric(&mut self, model: &str, epoch: u64, metric: &Metric) -> Result<(), Failure> {
        let line = json!({
            "model": model,
            "attempt": metric.attempt.0,
            "epoch": epoch,
            "name": metric.name,
            "value": metric.value,
        });
        let written = self.metrics.write_all(format!("{line}\n").as_bytes());
        written.map_err(|cause| {
            Failure::work(format!(
                "{}: {cause}",
                self.path.join("metrics.jsonl").display()
            ))
        })
    }

    /// Keeps a model's checkpoints.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn checkpoint(
        &self,
        record: &Record,
        best: Option<&Snapshot>,
        last: &Snapshot,
    ) -> Result<(), Failure> {
        let folder = self.create(&record.name)?;
        if let Some(best) = best {
            let bytes = state_file::encode(best, &record.optimizer);
            self.write(&folder.join("best.safetensors"), &bytes)?;
        }
        let bytes = state_file::encode(last, &record.optimizer);
        self.write(&folder.join("last.safetensors"), &bytes)
    }

    /// Keeps how a model ended. Written last, it says that all else of the model is there.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn result(&self, record: &Record) -> Result<(), Failure> {
        let mut json = record.to_json();
        json["hash"] = json!(record.hash);
        let folder = self.create(&record.name)?;
        self.write(
            &folder.join("result.json"),
            format!("{json:#}\n").as_bytes(),
        )
    }

    fn create(&self, model: &str) -> Result<PathBuf, Failure> {
        let folder = self.model(model);
        fs::create_dir_all(&folder)
            .map_err(|cause| Failure::work(format!("{}: {cause}", folder.display())))?;
        Ok(folder)
    }

    /// Keeps all results as a table, best first.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn results(&self, records: &[Record]) -> Result<(), Failure> {
        let path = self.path.join("results.csv");
        let failed = |message: String| Failure::work(format!("{}: {message}", path.display()));
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows(records) {
            writer
                .write_record(&row)
                .map_err(|error| failed(error.to_string()))?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| failed(error.to_string()))?;
        self.write(&path, &bytes)
    }
}

/// The rows of `results.csv`, the names of the columns first. A setting that is named as one of
/// our own columns is told apart by its origin.
fn rows(records: &[Record]) -> Vec<Vec<String>> {
    let settings = setting_names(records);
    let metrics = metric_names(records);
    let own = [
        "model",
        "assembly",
        "device",
        "epochs",
        "best_epoch",
        "state",
    ];
    let taken = |name: &str| own.contains(&name) || metrics.contains(&name);
    let mut head = vec!["model".to_owned()];
    head.extend(settings.iter().map(|name| match taken(name) {
        true => format!("settings.{name}"),
        false => (*name).to_owned(),
    }));
    let fixed = ["state", "assembly", "device", "epochs", "best_epoch"];
    head.extend(fixed.map(str::to_owned));
    head.extend(metrics.iter().map(|name| (*name).to_owned()));
    let mut rows = vec![head];
    for record in best_first(records) {
        let mut row = vec![record.name.clone()];
        row.extend(settings.iter().map(|name| setting(record, name)));
        row.push(record.state.name().to_owned());
        row.push(record.assembly.map_or_else(String::new, |n| n.to_string()));
        row.push(record.device.clone().unwrap_or_default());
        row.push(record.epochs.to_string());
        row.push(
            record
                .best
                .as_ref()
                .map_or_else(String::new, |(n, _)| n.to_string()),
        );
        for name in &metrics {
            row.push(
                record
                    .value(name)
                    .map_or_else(String::new, |value| format!("{value:?}")),
            );
        }
        rows.push(row);
    }
    rows
}

/// A setting's value as people write it; empty where the model has no such setting.
pub(crate) fn setting(record: &Record, name: &str) -> String {
    let value = record.settings.iter().find(|(n, _)| n == name);
    match value {
        None => String::new(),
        Some((_, Json::String(text))) => text.clone(),
        Some((_, value)) => value.to_string(),
    }
}

/// The table for people, best first.
pub(crate) fn summary(records: &[Record]) -> Vec<Vec<String>> {
    let settings = setting_names(records);
    let metrics = metric_names(records);
    let shown: Vec<&str> = metrics
        .into_iter()
        .filter(|name| *name != "train_loss")
        .collect();
    let mut head = vec!["model".to_owned()];
    head.extend(settings.iter().map(|name| (*name).to_owned()));
    head.extend(["assembly", "device", "epochs"].map(str::to_owned));
    head.extend(shown.iter().map(|name| (*name).to_owned()));
    head.push("state".to_owned());
    let mut rows = vec![head];
    for record in best_first(records) {
        let dash = || "-".to_owned();
        let mut row = vec![record.name.clone()];
        row.extend(settings.iter().map(|name| setting(record, name)));
        row.push(record.assembly.map_or_else(dash, |n| n.to_string()));
        row.push(record.device.clone().unwrap_or_else(dash));
        row.push(record.epochs.to_string());
        for name in &shown {
            row.push(
                record
                    .value(name)
                    .map_or_else(dash, |value| format!("{value:.4}")),
            );
        }
        let before = if record.skipped { " before" } else { "" };
        row.push(format!("{}{before}", record.state.name()));
        rows.push(row);
    }
    rows
}

/// How many records are in a state.
pub(crate) fn count(records: &[Record], state: State) -> usize {
    records
        .iter()
        .filter(|record| record.state == state)
        .count()
}
