//! The models of `tests/models`: outputs in evaluation, and one step of training.

use std::fs;
use std::path::PathBuf;

use serde_json::Value as Json;
use syncarp_engine::Tensor;
use syncarp_ir::{OutputKey, StateKind};

use crate::run::{Bench, Tensors, error, fixtures, largest, tensors, train, waits};

/// How far numbers in f32 may lie from PyTorch's in f64, relative to a tensor's largest.
const SINGLE: f64 = 1e-4;
/// How far those in f64 may, which are recorded in f32.
const DOUBLE: f64 = 1e-6;
/// What of the largest of all gradients a gradient is held against, if it is smaller still.
const FLOOR: f64 = 1e-3;

fn folder() -> PathBuf {
    fixtures("models/fixtures")
}

fn models() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 19, "{names:?}");
    names
}

fn meta(model: &str) -> Json {
    let text = fs::read_to_string(folder().join(model).join("meta.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Runs something for every model, and tells of all failures at once.
#[expect(clippy::print_stdout, reason = "a test tells its figures")]
fn for_each(each: impl Fn(&str) -> Result<String, String>) {
    let mut failures = Vec::new();
    for model in models() {
        match each(&model) {
            Ok(said) => println!("{model:20} {said}"),
            Err(message) if waits(&message) => println!("{model:20} waits for ops"),
            Err(message) => {
                println!("{model:20} {message}");
                failures.push(format!("{model}: {message}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn within(what: &str, found: f64, most: f64) -> Result<(), String> {
    match found <= most {
        true => Ok(()),
        false => Err(format!(
            "{what} is off by {found:.1e}, more than {most:.0e}"
        )),
    }
}

#[test]
fn outputs_in_evaluation() {
    let bench = Bench::new();
    for_each(|model| {
        let files = folder().join(model);
        let plan = bench.import(&files.join("eval.pt2"))?;
        let inputs = tensors(&files.join("inputs.safetensors"));
        let expected = tensors(&files.join("outputs.safetensors"));
        let single = compare(&bench.evaluate::<f32>(&plan, &inputs)?, &expected)?;
        let double = compare(&bench.evaluate::<f64>(&plan, &inputs)?, &expected)?;
        within("f32", single, SINGLE)?;
        within("f64", double, DOUBLE)?;
        Ok(format!("f32 {single:.1e}   f64 {double:.1e}"))
    });
}

/// The greatest difference over all that is expected.
fn compare(given: &Tensors, expected: &Tensors) -> Result<f64, String> {
    let mut worst: f64 = 0.0;
    for (name, expected) in expected {
        let given = given
            .get(name)
            .ok_or_else(|| format!("gives no `{name}`"))?;
        worst = worst.max(error(given, expected, 0.0));
    }
    Ok(worst)
}

#[test]
fn types_and_states() {
    let bench = Bench::new();
    for_each(|model| {
        let meta = meta(model);
        let plan = bench.import(&folder().join(model).join("train.pt2"))?;
        let graph = train(&plan);
        let first = graph
            .outputs()
            .iter()
            .find(|o| matches!(o.key, OutputKey::Result(..)));
        let ty = graph.ty(first.unwrap().value).to_string();
        let batch = "[n, ";
        if !ty.starts_with("f32") || !ty.contains(batch) {
            return Err(format!("the first result is {ty}"));
        }
        let sizes = &meta["outputs"]["output"]["shape"];
        let classes = sizes.as_array().unwrap().last().unwrap();
        if !ty.ends_with(&format!(", {classes}]")) {
            return Err(format!("the first result is {ty}, not of {sizes}"));
        }
        // Names in the order of the state dict, tied ones included.
        let states = &plan.models[0].states;
        let saved = states
            .iter()
            .filter(|(path, _)| !path.starts_with("constant:"));
        let saved: Vec<&str> = saved.map(|(path, _)| &**path).collect();
        let mut listed: Vec<&String> = meta["parameters"].as_object().unwrap().keys().collect();
        listed.extend(meta["buffers"].as_object().unwrap().keys());
        let mut sorted = saved.clone();
        sorted.sort_unstable();
        listed.sort_unstable();
        if sorted != listed {
            return Err(format!("states are {sorted:?}, not {listed:?}"));
        }
        let state = |name: &str| states.iter().find(|(path, _)| **path == *name).unwrap().1;
        for (name, described) in meta["parameters"].as_object().unwrap() {
            let entry = plan.state(state(name));
            if entry.kind != StateKind::Trainable {
                return Err(format!("`{name}` is {}", entry.kind.name()));
            }
            if entry.ty.numbers().unwrap().len() != described["shape"].as_array().unwrap().len() {
                return Err(format!("`{name}` is {}", entry.ty));
            }
        }
        for (name, first) in meta["tied"].as_object().unwrap() {
            if state(name) != state(first.as_str().unwrap()) {
                return Err(format!("`{name}` is not tied to {first}"));
            }
        }
        for name in meta["buffers"].as_object().unwrap().keys() {
            let entry = plan.state(state(name));
            let updated = name.contains("running_") || name.ends_with("num_batches_tracked");
            if (entry.kind == StateKind::Buffer) != updated {
                return Err(format!("`{name}` is {}", entry.kind.name()));
            }
        }
        Ok(ty)
    });
}

#[test]
fn a_step_of_training() {
    let bench = Bench::new();
    for_each(|model| {
        let files = folder().join(model);
        let plan = bench.import(&files.join("train.pt2"))?;
        let mut inputs = tensors(&files.join("inputs.safetensors"));
        let expected = tensors(&files.join("step.safetensors"));
        let labels = expected["labels"].clone();
        let plan = bench.step(&plan, &labels)?;
        inputs.insert("labels".to_owned(), labels);
        let given = bench.evaluate::<f64>(&plan, &inputs)?;
        let double = step_errors(&given, &expected)?;
        let given = bench.evaluate::<f32>(&plan, &inputs)?;
        let single = step_errors(&given, &expected)?;
        let allowed = meta(model)["float32_error"]["gradients"].as_f64().unwrap();
        for (place, what) in ["loss", "gradients", "buffers"].iter().enumerate() {
            within(&format!("{what} in f64"), double[place], DOUBLE)?;
            // Where PyTorch itself is off that much, nothing better can be asked for.
            let most = if place == 1 {
                SINGLE.max(2.0 * allowed)
            } else {
                SINGLE
            };
            within(&format!("{what} in f32"), single[place], most)?;
        }
        let show = |errors: [f64; 3]| errors.map(|e| format!("{e:.1e}")).join(" ");
        Ok(format!(
            "loss, gradients, buffers: f32 {}   f64 {}",
            show(single),
            show(double)
        ))
    });
}

/// The greatest differences of the loss, of gradients, and of buffers.
fn step_errors(given: &Tensors, expected: &Tensors) -> Result<[f64; 3], String> {
    let mut worst = [error(&given["loss"], &expected["loss"], 0.0), 0.0, 0.0];
    let named = |prefix: &'static str| {
        let tensors = expected.iter();
        tensors.filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)))
    };
    let largest_of = |prefix| named(prefix).map(|(_, t)| largest(t)).fold(0.0, f64::max);
    let floor = FLOOR * largest_of("gradient/");
    for (name, expected) in named("gradient/") {
        let given = given.get(&format!("gradient/{name}"));
        let given: &Tensor = given.ok_or_else(|| format!("no gradient of `{name}`"))?;
        let off = error(given, expected, floor);
        worst[1] = worst[1].max(off);
    }
    let extra = given
        .keys()
        .filter_map(|name| name.strip_prefix("gradient/"));
    for name in extra {
        let known = expected.contains_key(&format!("gradient/{name}"));
        if !known && largest(&given[&format!("gradient/{name}")]) > 0.0 {
            return Err(format!("a gradient of `{name}`, which PyTorch has not"));
        }
    }
    let floor = FLOOR * largest_of("buffer/");
    for (name, expected) in named("buffer/") {
        // What is not updated stays as it was.
        if let Some(given) = given.get(&format!("update/{name}")) {
            worst[2] = worst[2].max(error(given, expected, floor.min(1e-3)));
        } else if name.contains("running_") || name.ends_with("num_batches_tracked") {
            return Err(format!("`{name}` is not updated"));
        }
    }
    Ok(worst)
}
