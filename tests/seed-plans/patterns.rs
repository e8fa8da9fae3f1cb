//! Sequences of evaluators such as A A B and A B A.

use crate::recordings::{list, read, scenarios};
use crate::setup::{Differ, Grouped, MNIST, submissions};
use crate::view::{Names, assembled};

const FILE: &str = "evaluator_patterns.json";
const NNI_FAILS: &str = "DedupInputNode Dedup__inputs does not contain nodes from multi_model";

/// Every group assembles, whatever evaluators are around it. NNI fails where a group has no model
/// of some joined input.
#[test]
fn defect_04_evaluators_a_a_b_assemble() {
    let names = Names::read(MNIST);
    let scenarios = scenarios(FILE);
    assert_eq!(scenarios.len(), list(&read(FILE)).len());
    let mut failed = 0;
    for scenario in &scenarios {
        for differ in [Differ::Data, Differ::Rate, Differ::Seed] {
            let models = submissions(MNIST, None, &scenario.evaluators, differ);
            let ours = Grouped::new(&models, scenario.dedup, &scenario.devices);
            assert_eq!(ours.told(), scenario.groups, "{} {differ:?}", scenario.id);
            let assemblies = ours.assemblies();
            for (group, ours) in scenario.groups.iter().zip(&assemblies) {
                assert_eq!(ours.len(), 1, "{}", scenario.id);
                let view = assembled(&ours[0], &names);
                assert_eq!(view.edges.len(), 7 * group.len(), "{}", scenario.id);
                // An assembly holds its own models' states and nobody else's.
                assert_eq!(ours[0].plan.models.len(), group.len());
                assert_eq!(ours[0].plan.states.len(), 8 * group.len());
            }
        }
        for error in scenario.assembled.iter().filter_map(|r| r.as_ref().err()) {
            assert_eq!(error, NNI_FAILS, "{}", scenario.id);
            failed += 1;
        }
    }
    assert!(failed > 0, "the defect is recorded");
}

/// Only neighbours group: the two A of A B A do not.
#[test]
fn only_neighbours_share_an_assembly() {
    for differ in [Differ::Data, Differ::Rate, Differ::Seed] {
        let models = submissions(MNIST, None, "ABA", differ);
        let devices: Vec<String> = (0..4).map(|i| format!("h0/gpu{i}")).collect();
        let ours = Grouped::new(&models, true, &devices);
        assert_eq!(
            ours.groups.iter().map(Vec::len).collect::<Vec<_>>(),
            [1, 1, 1]
        );
    }
}
