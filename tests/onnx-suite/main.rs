//! ONNX's own backend test cases: every one through import, inference and the engine's forward, its
//! outputs compared with the suite's.
//!
//! `expected.tsv` lists the cases that fail, each with the reason; a case that passes though it is
//! listed, or fails though it is not, fails the test. `BLESS=1` writes the file anew, with the reasons
//! that it has. `ONNX_SUITE=DIR` runs the cases that `tests/models/onnx_suite.py` laid out in a folder,
//! large ones included; `ONNX_CASES=TEXT` only those whose name contains the text, with all that is
//! said of failures.

mod cases;
mod run;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cases::Case;
use run::Bench;

const THREADS: usize = 2;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-suite")
}

/// How many of PyTorch's cases passed so far; it only ever rises, and nine tenths are the aim.
const PYTORCH: usize = 92;

/// What became of each case: nothing, or why it failed.
fn run_all(cases: &[Case]) -> BTreeMap<String, Option<String>> {
    let bench = Bench::new();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.run(case)));
            let outcome = match ran {
                Ok(outcome) => outcome.err(),
                Err(_) => Some("panics".to_owned()),
            };
            outcomes.lock().unwrap().insert(case.name.clone(), outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    outcomes.into_inner().unwrap()
}

/// The cases that are expected to fail, with the reasons.
fn expected() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join("expected.tsv")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines
        .map(|(name, reason)| (name.to_owned(), reason.to_owned()))
        .collect()
}

/// Passes by kind, expanded functions apart.
fn figures(outcomes: &BTreeMap<String, Option<String>>) -> BTreeMap<String, (usize, usize)> {
    let mut figures = BTreeMap::new();
    for (name, outcome) in outcomes {
        let kind = name.split('/').next().unwrap_or_default();
        let kind = match name.contains("_expanded") {
            true => format!("{kind} (expanded)"),
            false => kind.to_owned(),
        };
        let (passed, all) = figures.entry(kind).or_insert((0, 0));
        *passed += usize::from(outcome.is_none());
        *all += 1;
    }
    figures
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(240).collect()
}

#[test]
fn every_case_does_as_is_expected() {
    let wanted = std::env::var("ONNX_CASES").ok();
    let outside = std::env::var("ONNX_SUITE").ok();
    let mut cases = match &outside {
        Some(folder) => cases::in_folder(Path::new(folder)),
        None => cases::packed(&folder().join("cases.tar.xz")),
    };
    if let Some(wanted) = &wanted {
        cases.retain(|case| case.name.contains(wanted.as_str()));
    }
    let outcomes = run_all(&cases);
    let mut report = String::new();
    for (kind, (passed, all)) in figures(&outcomes) {
        let _ = writeln!(report, "{kind}: {passed} of {all}");
    }
    if wanted.is_some() {
        for (name, outcome) in &outcomes {
            println!("{name}: {}", outcome.as_deref().unwrap_or("passes"));
        }
        println!("{report}");
        return;
    }
    println!("{report}");
    let expected = expected();
    if outside.is_none() && std::env::var("BLESS").is_ok_and(|bless| bless == "1") {
        let mut text = String::new();
        for (name, reason) in &outcomes {
            let Some(reason) = reason else { continue };
            let reason = expected
                .get(name)
                .cloned()
                .unwrap_or_else(|| one_line(reason));
            let _ = writeln!(text, "{name}\t{reason}");
        }
        std::fs::write(folder().join("expected.tsv"), text).unwrap();
        return;
    }
    let mut wrong = String::new();
    for (name, outcome) in &outcomes {
        match (outcome, expected.get(name)) {
            (None, Some(_)) => {
                let _ = writeln!(wrong, "{name} passes, but is listed as failing");
            }
            (Some(reason), None) => {
                let _ = writeln!(wrong, "{name}: {reason}");
            }
            (Some(reason), Some(_)) if reason == "panics" => {
                let _ = writeln!(wrong, "{name} panics");
            }
            _ => {}
        }
    }
    if outside.is_none() {
        for name in expected.keys().filter(|name| !outcomes.contains_key(*name)) {
            let _ = writeln!(
                wrong,
                "{name} is listed as failing, but there is no such case"
            );
        }
        let figures = figures(&outcomes);
        let (passed, all) = ["pytorch-converted", "pytorch-operator"]
            .iter()
            .fold((0, 0), |(a, b), kind| {
                (a + figures[*kind].0, b + figures[*kind].1)
            });
        if passed < PYTORCH {
            let _ = writeln!(
                wrong,
                "of PyTorch's cases only {passed} of {all} pass, not {PYTORCH}"
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}{report}");
}
