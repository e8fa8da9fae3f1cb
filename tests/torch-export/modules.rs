//! Small modules of `modules.py`, each traced, and decomposed into ATen's core: what they give in
//! f64 and f32 against what PyTorch gave in float64.

use std::fs;

use syncarp_engine::Tensor;
use syncarp_frontend::export::is_exported;
use syncarp_ir::{Plan, StateKind};

use crate::run::{Bench, Tensors, error, fixtures, tensors, waits};

/// How far results may lie, relative to a tensor's largest element.
const DOUBLE: f64 = 2e-6;
const SINGLE: f64 = 1e-4;

#[test]
fn modules_of_all_kinds() {
    let bench = Bench::new();
    let folder = fixtures("torch-export/fixtures");
    let mut failures = Vec::new();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "pt2"));
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    for path in names {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let module = stem.split('.').next().unwrap();
        let values = tensors(&folder.join(format!("{module}.safetensors")));
        let inputs = values
            .iter()
            .filter_map(|(name, t)| Some((name.strip_prefix("input/")?, t)));
        let inputs = inputs
            .map(|(name, t)| (name.to_owned(), t.clone()))
            .collect();
        let expected = values
            .iter()
            .filter(|(name, _)| !name.starts_with("input/"));
        let expected: Vec<_> = expected.collect();
        let checked = bench.import(&path).and_then(|plan| {
            let double = bench.evaluate::<f64>(&plan, &inputs)?;
            let single = bench.evaluate::<f32>(&plan, &inputs)?;
            let mut worst = [0.0f64; 2];
            for (name, expected) in &expected {
                for (at, (given, most)) in [(&double, DOUBLE), (&single, SINGLE)].iter().enumerate()
                {
                    let given = given
                        .get(*name)
                        .ok_or_else(|| format!("gives no `{name}`"))?;
                    if given.dims != expected.dims {
                        return Err(format!(
                            "`{name}` is {:?}, not {:?}",
                            given.dims, expected.dims
                        ));
                    }
                    let off = error(given, expected, 0.0);
                    if off > *most {
                        return Err(format!("`{name}` is off by {off:.1e}"));
                    }
                    worst[at] = worst[at].max(off);
                }
            }
            Ok(worst)
        });
        match checked {
            Ok([double, single]) => println!("{stem:28} f32 {single:.1e}   f64 {double:.1e}"),
            Err(message) if waits(&message) => println!("{stem:28} waits for ops"),
            Err(message) => {
                println!("{stem:28} {message}");
                failures.push(format!("{stem}: {message}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn gradients_end_where_the_source_says() {
    let bench = Bench::new();
    let folder = fixtures("torch-export/fixtures");
    let values = tensors(&folder.join("stopped.safetensors"));
    // A decomposed program knows nothing of this any more.
    let plan = bench.import(&folder.join("stopped.pt2")).unwrap();
    let states = &plan.models[0].states;
    let kind = |name: &str| {
        let (_, state) = states.iter().find(|(path, _)| **path == *name).unwrap();
        plan.state(*state).kind
    };
    assert_eq!(kind("frozen"), StateKind::Frozen);
    assert_eq!(kind("again.weight"), StateKind::Trainable);
    let labels = Tensor::int(&[3], vec![0, 1, 2]);
    let step = bench.step(&plan, &labels).unwrap();
    let mut inputs: Tensors = [("labels".to_owned(), labels)].into();
    inputs.insert("x".to_owned(), values["input/x"].clone());
    let given = bench.evaluate::<f32>(&step, &inputs).unwrap();
    let gradients = given
        .keys()
        .filter_map(|name| name.strip_prefix("gradient/"));
    let gradients: Vec<&str> = gradients.collect();
    assert_eq!(gradients, ["learned.bias", "learned.weight"]);
}

#[test]
fn the_compact_form_gives_the_same() {
    let bench = Bench::new();
    let folder = fixtures("torch-export/compact");
    for (model, program) in [
        ("resnet18", "train"),
        ("gpt", "train"),
        ("bert", "eval"),
        ("swin_t", "eval"),
    ] {
        let files = fixtures("models/fixtures").join(model);
        let archive = bench.import(&files.join(format!("{program}.pt2"))).unwrap();
        let path = folder.join(format!("{model}.{program}.json"));
        assert!(is_exported(&path));
        let compact = bench.import(&path).unwrap();
        let inputs = tensors(&files.join("inputs.safetensors"));
        let expected = bench.evaluate::<f32>(&archive, &inputs).unwrap();
        let given = bench.evaluate::<f32>(&compact, &inputs).unwrap();
        assert_eq!(given, expected, "{model}");
        let names = |plan: &Plan| {
            let states = plan.models[0].states.iter();
            let mut names: Vec<String> = states
                .map(|(path, state)| {
                    format!(
                        "{path} {} {}",
                        plan.state(*state).kind.name(),
                        plan.state(*state).ty
                    )
                })
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&compact), names(&archive), "{model}");
    }
}
