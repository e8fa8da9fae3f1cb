//! Real models from NNI's converter, two of each on two devices.

use std::collections::BTreeSet;

use syncarp_ir::{Model, TRAIN};

use crate::recordings::{assembly_view, read};
use crate::setup::{Differ, Grouped, submissions};
use crate::view::{Edge, Names, View, assembled, cell_paths};

fn devices() -> Vec<String> {
    vec!["h0/gpu0".to_owned(), "h0/gpu1".to_owned()]
}

/// Two of a model, assembled, and what NNI made of them.
fn merged(name: &str) -> (View, View, Grouped) {
    let file = format!("ir/{name}.json");
    let ours = Grouped::new(
        &submissions(&file, None, "AA", Differ::Data),
        true,
        &devices(),
    );
    assert_eq!(ours.groups.len(), 1);
    let assemblies = ours.assemblies();
    let seen = assembled(&assemblies[0][0], &Names::read(&file)).without_details();
    let recorded = assembly_view(&read(&format!("ir/{name}__merged_N2_D2.json")));
    (seen, recorded, ours)
}

#[test]
fn models_are_merged_as_recorded() {
    for name in ["residual", "modulelist_loop", "resnet18", "mobilenet_v2"] {
        let (seen, recorded, _) = merged(name);
        assert!(seen.nodes.len() >= 8, "{name}");
        assert_eq!(seen, recorded, "{name}");
    }
}

/// Each model keeps cells of its own, whose nodes are on its device. NNI lists them by name.
#[test]
fn cells_are_each_models_own() {
    for (name, cells) in [("resnet18", 15), ("mobilenet_v2", 71)] {
        let (_, _, ours) = merged(name);
        let assembly = ours.assemblies().remove(0).remove(0);
        let graph = assembly.plan.graph(TRAIN).unwrap();
        let recorded = read(&format!("ir/{name}__merged_N2_D2.json"));
        for number in [1, 2] {
            let paths = cell_paths(&recorded["graph_names"], number);
            assert_eq!(paths.len(), cells, "{name}");
            for path in paths {
                let within = graph.nodes().filter(|node| {
                    let set = graph.provenance().set(graph.provenance_id(*node));
                    set.iter().any(|origin| {
                        let own = graph.provenance().path(origin.path);
                        let inside = own.strip_prefix(&path).is_some_and(|r| r.starts_with('.'));
                        inside && origin.model == Model::new(number - 1)
                    })
                });
                let on: BTreeSet<_> = within.map(|node| graph.device(node)).collect();
                let own = Some(syncarp_ir::Device::new(number - 1));
                assert_eq!(on, BTreeSet::from([own]), "{name} {path}");
            }
        }
    }
}

fn edges(list: &[(&str, usize, &str, usize)]) -> BTreeSet<Edge> {
    let edge = |(a, x, b, y): &(&str, usize, &str, usize)| (a.to_string(), *x, b.to_string(), *y);
    list.iter().map(edge).collect()
}

/// Two inputs are two: each is copied to each device, and each reader reads its own. NNI gives both
/// readers the first.
#[test]
fn defect_07_two_inputs_are_read_from_their_slots() {
    let (seen, recorded, _) = merged("two_inputs");
    let mut right = recorded.clone();
    for number in [1, 2] {
        let model = format!("M_{number}__model");
        let (x, y) = (
            format!("M_1__inputs_to_{model}__a"),
            format!("M_1__inputs_to_{model}__b"),
        );
        let wrong: Edge = (x.clone(), 0, format!("{model}__b"), 0);
        assert!(right.edges.remove(&wrong), "the defect is recorded");
        right.edges.extend(edges(&[
            ("_inputs", 1, &y, 0),
            (&y, 0, &format!("{model}__b"), 0),
        ]));
        right.nodes.insert(y, right.nodes[&x].clone());
    }
    assert_eq!(seen, right);
    let second = recorded
        .edges
        .iter()
        .filter(|edge| edge.0 == "_inputs" && edge.1 == 1);
    assert_eq!(second.count(), 0, "the defect is recorded");
}

/// Two results are two, model by model. NNI gives back one slot a model, a tuple.
#[test]
fn defect_08_two_outputs_stay_two() {
    let (seen, recorded, ours) = merged("two_outputs_tuple");
    let outputs = |view: &View| -> BTreeSet<Edge> {
        view.edges
            .iter()
            .filter(|edge| edge.2 == "_outputs")
            .cloned()
            .collect()
    };
    assert_eq!(
        outputs(&seen),
        edges(&[
            ("M_1__model__a", 0, "_outputs", 0),
            ("M_1__model__aten__mul3", 0, "_outputs", 1),
            ("M_2__model__a", 0, "_outputs", 2),
            ("M_2__model__aten__mul3", 0, "_outputs", 3),
        ])
    );
    let rest = |view: &View| -> BTreeSet<Edge> {
        view.edges.difference(&outputs(view)).cloned().collect()
    };
    assert_eq!(rest(&seen), rest(&recorded));
    assert_eq!(seen.nodes, recorded.nodes);
    let assembly = ours.assemblies().remove(0).remove(0);
    let outputs = assembly.plan.graph(TRAIN).unwrap().outputs().iter();
    let keys: Vec<String> = outputs.map(|output| format!("{:?}", output.key)).collect();
    assert_eq!(
        keys,
        [
            r#"Result(m0, "output.0")"#,
            r#"Result(m0, "output.1")"#,
            r#"Result(m1, "output.0")"#,
            r#"Result(m1, "output.1")"#,
        ]
    );
}
