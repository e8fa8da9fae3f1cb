//! From a sweep file to trials: data loaded, models lowered and bound, evaluators made.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use syncarp_data::{Array, Column, DataError, DataSpec, DataStream};
use syncarp_diag::{Located, Source};
use syncarp_evaluator::{
    Evaluator, EvaluatorRegistry, JudgeError, OptionError, OptionValue, TARGET, judge,
};
use syncarp_frontend::Frontend;
use syncarp_ir::{DType, OutputKey, Plan, TRAIN};
use syncarp_logical::{Submission, bind_inputs};
use syncarp_runtime::Trial;
use syncarp_sweep::{ModelSpec, Named, Spanned, Sweep, Table, Value, from_table};

use crate::registries::Registries;
use crate::report::Failure;

/// A sweep whose models are ready to be trained.
pub(crate) struct Submitted {
    pub sweep: Sweep,
    /// One for each model of the sweep, in its order.
    pub trials: Vec<Trial>,
    /// For each model, a hash of all that its numbers depend on.
    pub hashes: Vec<String>,
}

/// Loads a sweep and readies its models.
///
/// # Errors
/// Every mistake in the file, or the first one in each model.
pub(crate) fn submit(path: &Path, registries: &Registries) -> Result<Submitted, Failure> {
    let sweep = Sweep::load(path)?;
    let mut submitter = Submitter {
        sweep: &sweep,
        frontend: registries.frontend(),
        evaluators: &registries.evaluators,
        streams: BTreeMap::new(),
        mistakes: Vec::new(),
    };
    let (mut trials, mut hashes) = (Vec::new(), Vec::new());
    for model in &sweep.models {
        if let Some((trial, hash)) = submitter.model(model)? {
            trials.push(trial);
            hashes.push(hash);
        }
        if submitter.mistakes.len() >= syncarp_sweep::MAX_MISTAKES {
            break;
        }
    }
    let mistakes = submitter.mistakes;
    match mistakes.is_empty() {
        true => Ok(Submitted {
            sweep,
            trials,
            hashes,
        }),
        false => Err(Failure::Located(mistakes)),
    }
}

struct Submitter<'s> {
    sweep: &'s Sweep,
    frontend: Frontend,
    evaluators: &'s EvaluatorRegistry,
    /// Streams by their specification as text; equal streams are one in memory.
    streams: BTreeMap<String, Option<Arc<DataStream>>>,
    mistakes: Vec<Located>,
}

impl Submitter<'_> {
    /// A model's trial and hash; none where a mistake was noted.
    fn model(&mut self, model: &ModelSpec) -> Result<Option<(Trial, String)>, Failure> {
        let Some(data) = self.stream(&model.data) else {
            return Ok(None);
        };
        match self.trial(model, data) {
            Ok(made) => Ok(Some(made)),
            Err(Failure::Located(mistakes)) => {
                for mistake in mistakes {
                    // Models of one block mostly share a mistake, which is told once.
                    if !self.mistakes.contains(&mistake) {
                        self.mistakes.push(mistake);
                    }
                }
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    fn trial(&self, model: &ModelSpec, data: Arc<DataStream>) -> Result<(Trial, String), Failure> {
        let source = &self.sweep.source;
        let at = |span: &Range<usize>, message: String| Located::new(source, span.clone(), message);
        let target = target(&data, source, &model.data)?;
        let is_class = matches!(target.data, Array::I64(_));
        let evaluator = self.evaluator(model, is_class)?;
        let inputs: Vec<(String, DType, Vec<u64>)> = data
            .train()
            .inputs()
            .iter()
            .map(|column| (column.name.clone(), dtype(&column.data), dims(column)))
            .collect();
        let base = &self.sweep.base_dir;
        let mut plan = self.frontend.lower(model, source, base, &inputs)?;
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
        Ok((Trial { submission, data }, hash))
    }

    /// The data stream of a table, loaded once for each distinct one.
    fn stream(&mut self, table: &Spanned<Table>) -> Option<Arc<DataStream>> {
        let source = &self.sweep.source;
        let spec: DataSpec = match from_table(table, source) {
            Ok(spec) => spec,
            Err(mistake) => {
                let help = "a sweep has a `[data]` table with a `source`";
                let mistake = match table.value.is_empty() {
                    true => mistake.with_help(help),
                    false => mistake,
                };
                self.note(mistake);
                return None;
            }
        };
        let key = canonical(&table.value.to_json()).to_string();
        if let Some(known) = self.streams.get(&key) {
            return known.clone();
        }
        let loaded = match DataStream::load(&spec, &self.sweep.base_dir) {
            Ok(stream) => {
                let mut others = self.streams.values().flatten();
                let equal = others.find(|other| other.key() == stream.key());
                Some(equal.cloned().unwrap_or_else(|| Arc::new(stream)))
            }
            Err(error) => {
                self.note(data_mistake(&error, table, source));
                None
            }
        };
        self.streams.insert(key, loaded.clone());
        loaded
    }

    fn note(&mut self, mistake: Located) {
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    fn evaluator(&self, model: &ModelSpec, is_class: bool) -> Result<Evaluator, Located> {
        let source = &self.sweep.source;
        let registry = self.evaluators;
        let spec = &model.training;
        let made = |named: &Named, error: OptionError| option_mistake(named, &error, source);
        let loss = registry
            .loss(&spec.loss.name.value, &options(&spec.loss, source)?)
            .map_err(|error| made(&spec.loss, error))?;
        let mut metrics = Vec::new();
        for named in &spec.metrics {
            let metric = registry.metric(&named.name.value, &options(named, source)?);
            metrics.push(metric.map_err(|error| made(named, error))?);
        }
        let unsaid = model.evaluator.value.get("metrics").is_none();
        if unsaid && is_class && loss.name() == "cross-entropy" {
            metrics.extend(registry.metric("accuracy", &[]));
        }
        let optimizer = registry
            .optimizer(
                &spec.optimizer.name.value,
                &options(&spec.optimizer, source)?,
            )
            .map_err(|error| made(&spec.optimizer, error))?;
        let schedule = match &spec.schedule {
            Some(named) => registry
                .schedule(&named.name.value, &options(named, source)?)
                .map_err(|error| made(named, error))?,
            None => registry.schedule("constant", &[]).map_err(|error| {
                Located::new(source, model.evaluator.span.clone(), error.to_string())
            })?,
        };
        Ok(Evaluator {
            loss,
            metrics,
            optimizer,
            schedule,
            clip_norm: spec.clip_norm,
            epochs: u64::from(spec.epochs),
            seed: spec.seed,
        })
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

fn options(named: &Named, source: &Source) -> Result<Vec<(String, OptionValue)>, Located> {
    let each = |(name, value): &(Spanned<String>, Spanned<Value>)| {
        let numbers = |items: &[Spanned<Value>]| {
            items
                .iter()
                .map(|item| item.value.as_f64())
                .collect::<Option<Vec<f64>>>()
        };
        let option = match &value.value {
            Value::Int(_) | Value::Float(_) => value.value.as_f64().map(OptionValue::Number),
            Value::Bool(flag) => Some(OptionValue::Bool(*flag)),
            Value::Str(text) => Some(OptionValue::Text(text.clone())),
            Value::Array(items) => numbers(items).map(OptionValue::Numbers),
            Value::Table(_) => None,
        };
        let wrong = || {
            let message = format!("`{}` cannot be {}", name.value, value.value.kind());
            let help = "options are numbers, truth values, words and lists of numbers";
            Located::new(source, value.span.clone(), message).with_help(help)
        };
        Ok((name.value.clone(), option.ok_or_else(wrong)?))
    };
    named.options.named.iter().map(each).collect()
}

/// A wrong option, at its place.
fn option_mistake(named: &Named, error: &OptionError, source: &Source) -> Located {
    let plain = |name: &str| name.replace('_', "-");
    let given = error.option().and_then(|option| {
        let mut all = named.options.named.iter();
        all.find(|(name, _)| plain(&name.value) == plain(option))
    });
    let span = match (given, error) {
        (Some((name, _)), OptionError::Unknown { .. }) => name.span.clone(),
        (Some((_, value)), _) => value.span.clone(),
        (None, _) => named.name.span.clone(),
    };
    Located::new(source, span, error.to_string())
}

/// A mistake about the data, at the setting it is about.
fn data_mistake(error: &DataError, table: &Spanned<Table>, source: &Source) -> Located {
    match error {
        DataError::BadSpec {
            setting,
            message,
            expected,
        } => {
            let message = format!("the data setting `{setting}` is wrong: {message}");
            let span = setting_span(table, setting);
            Located::new(source, span, message).with_help(format!("expected {expected}"))
        }
        DataError::Malformed {
            path,
            place,
            message,
            expected,
        } => {
            let message = format!(
                "the data file `{}` is malformed at {place}: {message}",
                path.display()
            );
            let span = setting_span(table, "source");
            Located::new(source, span, message).with_help(format!("expected {expected}"))
        }
        other => Located::new(source, setting_span(table, "source"), other.to_string()),
    }
}

/// Where a setting of a dotted name is written, or the innermost table around it.
fn setting_span(table: &Spanned<Table>, setting: &str) -> Range<usize> {
    let mut span = table.span.clone();
    let mut inner = &table.value;
    for key in setting.split('.') {
        let Some(value) = inner.get(key) else { break };
        span = value.span.clone();
        match &value.value {
            Value::Table(table) => inner = table,
            _ => break,
        }
    }
    span
}

/// A hash of all that a model's numbers depend on: its graph with its random streams and weights,
/// its evaluator, its data, and the settings that tell it from others.
fn hash(model: &ModelSpec, plan: &Plan, data: &DataStream) -> String {
    let settings: serde_json::Map<String, Json> = model
        .settings
        .iter()
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect();
    let evaluator = canonical(&model.evaluator.value.to_json());
    let all = json!({
        "settings": canonical(&Json::Object(settings)),
        "model": syncarp_ir::print(plan),
        "evaluator": evaluator,
        "data": data.key().as_str(),
    });
    blake3::hash(all.to_string().as_bytes())
        .to_hex()
        .to_string()
}

/// The same JSON with the keys of all objects sorted, so that their order in a file says nothing.
fn canonical(value: &Json) -> Json {
    match value {
        Json::Array(items) => items.iter().map(canonical).collect(),
        Json::Object(object) => {
            let sorted: BTreeMap<&String, Json> = object
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            sorted
                .into_iter()
                .map(|(key, value)| (key.clone(), value))
                .collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_says_nothing() {
        let a: Json = serde_json::from_str(r#"{"b": [{"y": 1, "x": 2}], "a": null}"#).unwrap();
        let b: Json = serde_json::from_str(r#"{"a": null, "b": [{"x": 2, "y": 1}]}"#).unwrap();
        assert_ne!(a.to_string(), b.to_string());
        assert_eq!(canonical(&a).to_string(), canonical(&b).to_string());
    }
}
