//! As if alone: merged and alone, every number is the same to the bit.

#[path = "../common/mod.rs"]
mod common;

use common::{CNN, MLP, engine, evaluator, planner, trial, trial_with};
use syncarp_place::parse_devices;
use syncarp_runtime::Trial;
use syncarp_runtime::verify::{Difference, verify};

fn check(trials: &[Trial], devices: &str, cores: usize) -> Vec<Difference> {
    let devices = parse_devices(devices, cores).unwrap();
    verify(
        trials,
        &devices,
        &planner(),
        &mut engine(),
        None,
        &mut |_| {},
    )
    .unwrap()
}

#[test]
fn two_small_models_train_merged_as_alone() {
    let trials = [trial(MLP, "a", "adam"), trial(MLP, "b", "sgd")];
    for (devices, cores) in [("cpu:0", 1), ("cpu:0", 2), ("cpu:0,cpu:1", 2)] {
        for difference in check(&trials, devices, cores) {
            assert!(difference.is_bitwise(), "{devices} {cores}: {difference:?}");
            assert_eq!(difference.end, "finished");
            assert!(difference.compared > 2_000, "{difference:?}");
        }
    }
}

/// Dropout, batch norm, clipping, other optimizers, other last epochs, and one model whose loss
/// becomes no number: it alone fails, and nobody else's numbers move by a bit.
#[test]
fn a_mixed_sweep_trains_merged_as_alone() {
    let mut trials = vec![
        trial_with(MLP, "early", evaluator("adam", 0.01, 1)),
        trial_with(CNN, "cnn", evaluator("adamw", 0.003, 3)),
        trial_with(MLP, "diverging", evaluator("sgd", 1e20, 3)),
        trial_with(CNN, "momentum", evaluator("sgd", 0.05, 2)),
        trial_with(MLP, "late", evaluator("sgd", 0.1, 4)),
    ];
    // A twin differs in its seed alone.
    let mut twin = evaluator("adam", 0.01, 3);
    std::sync::Arc::make_mut(&mut twin).seed = 99;
    trials.push(trial_with(MLP, "twin", twin));
    let mut ends = Vec::new();
    for (devices, cores) in [("cpu:0", 1), ("cpu:0,cpu:1", 2), ("cpu:0", 3)] {
        for difference in check(&trials, devices, cores) {
            assert!(difference.is_bitwise(), "{devices} {cores}: {difference:?}");
            ends.push((difference.name.to_string(), difference.end));
        }
    }
    for (name, end) in ends {
        match &*name {
            "diverging" => assert!(end.contains("the loss is"), "{end}"),
            _ => assert_eq!(end, "finished", "{name}"),
        }
    }
}

/// The checker must be able to find a difference: another seed is another training.
#[test]
fn the_checker_sees_a_difference() {
    use syncarp_runtime::verify::{compare, record};
    let devices = parse_devices("cpu:0", 1).unwrap();
    let run = |seed| {
        let mut evaluator = evaluator("adam", 0.01, 1);
        std::sync::Arc::make_mut(&mut evaluator).seed = seed;
        let trial = trial_with(MLP, "a", evaluator);
        record(&[trial], &devices, &planner(), &mut engine(), None)
            .unwrap()
            .remove(0)
    };
    let difference = compare("a".into(), &run(1), &run(2));
    assert!(
        !difference.is_bitwise() && difference.largest > 0.0,
        "{difference:?}"
    );
    assert!(compare("a".into(), &run(1), &run(1)).is_bitwise());
}
