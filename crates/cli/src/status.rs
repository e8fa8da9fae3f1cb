//! `status`: what is known of a run, from its folder alone, while it goes on or after it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::args::StatusArgs;
use crate::output::{self, print, print_json, table};
use crate::record::State;
use crate::report::{Failure, Outcome};

/// Says how the models of a run are.
///
/// # Errors
/// Where the folder is not that of a run.
pub(crate) fn status(args: &StatusArgs) -> Result<Outcome, Failure> {
    let models = read(&args.folder)?;
    if args.json {
        let models: Vec<Json> = models.iter().map(Known::to_json).collect();
        print_json(&json!({ "models": models }))?;
    } else {
        print(&text(&models))?;
    }
    Ok(Outcome::Done)
}

/// What is known of a model.
struct Known {
    name: String,
    state: State,
    epochs: u64,
    of: u64,
    /// The last values, by name.
    metrics: BTreeMap<String, Json>,
    cause: Option<String>,
}

impl Known {
    fn to_json(&self) -> Json {
        json!({
            "name": self.name,
            "state": self.state.name(),
            "epochs": self.epochs,
            "of": self.of,
            "metrics": self.metrics,
            "cause": self.cause,
        })
    }
}

fn text(models: &[Known]) -> String {
    let mut rows = vec![
        ["model", "state", "epochs", "metrics"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for model in models {
        let metrics = model
            .metrics
            .iter()
            .map(|(name, value)| match value.as_f64() {
                Some(value) => format!("{name} {value:.4}"),
                None => format!("{name} {value}"),
            });
        rows.push(vec![
            model.name.clone(),
            model.state.name().to_owned(),
            format!("{}/{}", model.epochs, model.of),
            metrics.collect::<Vec<_>>().join(", "),
        ]);
    }
    let mut text = table(&rows);
    for model in models {
        if let Some(cause) = &model.cause {
            text += &format!("\n{}: {cause}", model.name);
        }
    }
    let counts = State::ALL.iter().filter_map(|state| {
        let count = models.iter().filter(|m| m.state == *state).count();
        (count > 0).then(|| format!("{count} {}", state.name()))
    });
    let counts: Vec<String> = counts.collect();
    let all = output::models(models.len());
    text + &format!("\n{all}: {}\n", counts.join(", "))
}

fn read(folder: &Path) -> Result<Vec<Known>, Failure> {
    let path = folder.join("models.json");
    let list = fs::read(&path).map_err(|cause| Failure::file(&path, &cause))?;
    let list: Json = serde_json::from_slice(&list).map_err(|error| {
        Failure::usage(format!("{}: not a list of models: {error}", path.display()))
    })?;
    let assemblies = json_of(&folder.join("assemblies.json"));
    let begun: Vec<&str> = each(&assemblies)
        .flat_map(|assembly| each(&assembly["models"]))
        .filter_map(|model| model["name"].as_str())
        .collect();
    let mut metrics = last_metrics(folder);
    let known = each(&list).filter_map(|entry| {
        let name = entry["name"].as_str()?.to_owned();
        let result = json_of(&folder.join("models").join(&name).join("result.json"));
        // A result of other settings is an earlier run's, which this one does anew.
        let result = Some(result).filter(|result| result["hash"] == entry["hash"]);
        let ended = result
            .as_ref()
            .and_then(|r| State::from_name(r["state"].as_str()?));
        let (epochs, values) = metrics.remove(&name).unwrap_or_default();
        let is_begun = begun.contains(&&*name);
        Some(match (ended, result) {
            (Some(state), Some(result)) => Known {
                name,
                state,
                epochs: result["epochs"].as_u64().unwrap_or(0),
                of: entry["epochs"].as_u64().unwrap_or(0),
                metrics: object(&result["metrics"]),
                cause: result["cause"].as_str().map(str::to_owned),
            },
            _ => Known {
                name,
                state: if is_begun {
                    State::Running
                } else {
                    State::Waiting
                },
                epochs,
                of: entry["epochs"].as_u64().unwrap_or(0),
                metrics: values,
                cause: None,
            },
        })
    });
    Ok(known.collect())
}

/// The last epoch of each model and its values in this run.
fn last_metrics(folder: &Path) -> BTreeMap<String, (u64, BTreeMap<String, Json>)> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    let mut last: BTreeMap<String, (u64, BTreeMap<String, Json>)> = BTreeMap::new();
    // The last line may be half written.
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Json>(line).ok());
    for line in lines {
        let (Some(model), Some(name)) = (line["model"].as_str(), line["name"].as_str()) else {
            continue;
        };
        let epoch = line["epoch"].as_u64().unwrap_or(0);
        let known = last.entry(model.to_owned()).or_default();
        if epoch != known.0 {
            *known = (epoch, BTreeMap::new());
        }
        known.1.insert(name.to_owned(), line["value"].clone());
    }
    last
}

fn json_of(path: &Path) -> Json {
    let text = fs::read(path).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or(Json::Null)
}

fn each(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

fn object(json: &Json) -> BTreeMap<String, Json> {
    let entries = json.as_object().into_iter().flatten();
    entries.map(|(k, v)| (k.clone(), v.clone())).collect()
}
