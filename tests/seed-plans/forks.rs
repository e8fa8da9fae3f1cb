//! Submissions that look alike.

use std::collections::BTreeSet;
use std::sync::Arc;

use syncarp_ir::{Model, TRAIN};
use syncarp_place::{Inputs, assemble};

use crate::setup::{Differ, Grouped, MNIST, submissions};

/// Two submissions of one graph, one object even, and one name stay two models: each has states,
/// nodes and results of its own. NNI mixes up forks that have one id.
#[test]
fn defect_09_two_forks_of_one_name_stay_apart() {
    let one = submissions(MNIST, None, "A", Differ::Data).remove(0);
    let two = [one.clone(), one.clone()];
    assert!(Arc::ptr_eq(&two[0].plan, &two[1].plan));
    let devices = ["h0/gpu0".to_owned(), "h0/gpu1".to_owned()];
    let ours = Grouped::new(&two, true, &devices);
    let graph = ours.plan.graph(TRAIN).unwrap();
    let nodes = one.plan.graph(TRAIN).unwrap().len();
    assert_eq!(graph.len(), 2 * nodes - 1, "the input alone is shared");
    let shared = graph.nodes().filter(|node| graph.models(*node).count() > 1);
    let shared: Vec<_> = shared.map(|node| graph.op_name(node)).collect();
    assert_eq!(shared, ["input"]);
    let states = |model: Model| -> BTreeSet<_> {
        ours.plan
            .model(model)
            .states
            .iter()
            .map(|(_, state)| *state)
            .collect()
    };
    let (first, second) = (states(Model::new(0)), states(Model::new(1)));
    assert_eq!((first.len(), second.len()), (8, 8));
    assert!(first.is_disjoint(&second));
    for (model, states) in [(0, first), (1, second)] {
        for state in states {
            assert_eq!(ours.plan.state(state).owner, Some(Model::new(model)));
        }
    }
    let results: BTreeSet<_> = graph.outputs().iter().map(|output| output.value).collect();
    assert_eq!(results.len(), 2);
    // What is made of one is what is made of it alone, whoever was around.
    let alone = Grouped::new(&two[..1], true, &devices);
    let part = |grouped: &Grouped, model: usize| {
        let part = syncarp_place::Part {
            models: vec![Model::new(model)],
            model_devices: vec![0],
            devices: grouped.devices[..1].to_vec(),
        };
        let made = assemble(&grouped.plan, vec![part], Inputs::Host).unwrap();
        syncarp_ir::print(&made[0].plan)
    };
    assert_eq!(part(&ours, 0), part(&alone, 0));
    assert_eq!(part(&ours, 1), part(&alone, 0));
}
