//! What `nni` places trains on the embedded engine, every number as alone.

use syncarp_place::{PolicyRegistry, parse_devices};
use syncarp_runtime::verify::verify;
use syncarp_runtime::{Planner, Trial};

use crate::common::{CNN, MLP, engine, evaluator, planner, trial_with};

fn check(trials: &[Trial], devices: &str, cores: usize) {
    let devices = parse_devices(devices, cores).unwrap();
    let planner = Planner {
        policy: PolicyRegistry::standard().get("nni").unwrap(),
        execute: None,
        ..planner()
    };
    let placement = planner
        .plan(&trials.iter().collect::<Vec<_>>(), &devices)
        .unwrap()
        .placement;
    let merged = placement
        .assemblies
        .iter()
        .any(|assembly| assembly.models.len() > 1);
    assert!(merged, "something is merged");
    let differences = verify(trials, &devices, &planner, &mut engine(), None, &mut |_| {}).unwrap();
    assert_eq!(differences.len(), trials.len());
    for difference in differences {
        assert!(difference.is_bitwise(), "{difference:?}");
        assert_eq!(difference.end, "finished");
        assert!(difference.compared > 2_000, "{difference:?}");
    }
}

/// Inputs, targets and the step's number come from the host's memory, of each a copy on each device;
/// dropout, batch norm and clipping are in it.
#[test]
fn models_placed_by_nni_train_as_alone() {
    let equal = || evaluator("adam", 0.01, 2);
    let trials = [
        trial_with(MLP, "a", equal()),
        trial_with(CNN, "b", equal()),
        trial_with(MLP, "c", equal()),
    ];
    check(&trials, "cpu:0,cpu:1,cpu:2", 3);
    // Two devices: the third model waits for one.
    check(&trials, "cpu:0,cpu:1", 2);
}

/// A A B, two of one name, on devices of two hosts.
#[test]
fn defect_09_forks_of_one_name_train_as_alone() {
    let equal = || evaluator("sgd", 0.05, 2);
    let mut other = evaluator("sgd", 0.05, 2);
    std::sync::Arc::make_mut(&mut other).seed = 17;
    let trials = [
        trial_with(MLP, "fork", equal()),
        trial_with(MLP, "fork", equal()),
        trial_with(MLP, "fork", other),
    ];
    check(&trials, "a:0,a:1,b:0", 3);
}
