//! As if alone: merged and alone, every number is the same to the bit.

#[path = "../common/mod.rs"]
mod common;

use common::{MLP, engine, planner, trial};
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
