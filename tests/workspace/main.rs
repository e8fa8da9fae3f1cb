//! The shape of the workspace: which crate may depend on which.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// What each of our crates may depend on, directly, beside crates of others. Arrows that are not
/// here would turn the flow of data round.
const MAY: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("data", &[]),
    ("draw", &["ir"]),
    ("ir", &["diag"]),
    ("ops", &["ir"]),
    ("evaluator", &["ir"]),
    ("pass", &["evaluator", "ir"]),
    ("pass-canonicalize", &["ir", "pass"]),
    ("pass-cse", &["ir", "pass"]),
    ("pass-dce", &["ir", "pass"]),
    ("pass-decompose", &["ir", "pass"]),
    ("pass-dedup-input", &["ir", "pass"]),
    ("pass-differentiate", &["evaluator", "ir", "pass"]),
    ("pass-fold-batch-norm", &["ir", "pass"]),
    ("pass-fold-constants", &["ir", "pass"]),
    ("pass-to-eval", &["ir", "pass"]),
    ("logical", &["evaluator", "ir"]),
    ("place", &["ir", "logical"]),
    ("onnx", &["diag", "ir", "weights"]),
    ("sweep", &["diag"]),
    ("weights", &["ir"]),
    (
        "frontend",
        &[
            "data",
            "diag",
            "evaluator",
            "ir",
            "logical",
            "onnx",
            "sweep",
            "weights",
        ],
    ),
    (
        "engine",
        &["data", "evaluator", "ir", "logical", "pass", "place"],
    ),
    (
        "runtime",
        &["data", "engine", "ir", "logical", "pass", "place"],
    ),
];

/// The crates at the end of every arrow, which may depend on all others.
const ENDS: &[&str] = &["standard", "cli", "search", "tests", "benches"];

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let arguments = [
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--offline",
        "--manifest-path",
    ];
    let output = Command::new(cargo)
        .args(arguments)
        .arg(manifest)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn arrows_between_crates_do_not_turn_round() {
    let metadata = metadata();
    let may: BTreeMap<&str, &[&str]> = MAY.iter().copied().collect();
    let mut seen = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"]
            .as_str()
            .unwrap()
            .strip_prefix("syncarp-")
            .unwrap();
        seen.push(name);
        if ENDS.contains(&name) {
            continue;
        }
        let allowed = may
            .get(name)
            .unwrap_or_else(|| panic!("crate {name} has no entry here"));
        for dependency in package["dependencies"].as_array().unwrap() {
            if !dependency["kind"].is_null() {
                continue;
            }
            if let Some(on) = dependency["name"]
                .as_str()
                .unwrap()
                .strip_prefix("syncarp-")
            {
                assert!(allowed.contains(&on), "{name} must not depend on {on}");
            }
        }
    }
    for (name, _) in MAY {
        assert!(seen.contains(name), "there is no crate {name}");
    }
}
