//! Evaluators as sweeps write them: names with options, each mistake at its place.

use syncarp_diag::{Located, Source};
use syncarp_evaluator::{Evaluator, EvaluatorRegistry, OptionError, OptionValue};
use syncarp_sweep::{ModelSpec, Named, Spanned, Value};

/// The evaluator of a model. `is_class` tells that the target is a class: cross entropy on it is
/// judged by accuracy where no metrics are asked for.
pub(crate) fn evaluator(
    registry: &EvaluatorRegistry,
    model: &ModelSpec,
    is_class: bool,
    source: &Source,
) -> Result<Evaluator, Located> {
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
