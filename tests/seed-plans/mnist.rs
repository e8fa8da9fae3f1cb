//! NNI's mnist model: up to five of it, on up to four devices of one host or two.

use syncarp_ir::{TRAIN, Verified, print};
use syncarp_logical::evaluator_classes;
use syncarp_place::{Nni, Policy, Request};

use crate::recordings::{Scenario, assembly_view, logical_view, mnist_files, scenarios};
use crate::setup::{Differ, Grouped, MNIST, judged, submissions};
use crate::view::{Edge, Names, Seen, View, assembled, logical};

const PIXELS: &[u64] = &[1, 28, 28];
const CROSS_HOST: &str = "Cross-server placement is not supported.";

fn all() -> Vec<Scenario> {
    let all: Vec<Scenario> = mnist_files()
        .iter()
        .flat_map(|file| scenarios(file))
        .collect();
    // One model has no pair of evaluators to differ: 5 sets of devices of 3 scenarios, else of 6.
    assert_eq!(all.len(), 5 * (3 + 3 * 6));
    all
}

fn grouped(scenario: &Scenario, differ: Differ) -> Grouped {
    let models = submissions(MNIST, Some(PIXELS), &scenario.evaluators, differ);
    Grouped::new(&models, scenario.dedup, &scenario.devices)
}

#[test]
fn logical_graphs_are_as_recorded() {
    let names = Names::read(MNIST);
    for scenario in all() {
        let ours = grouped(&scenario, Differ::Data);
        let recorded = logical_view(scenario.logical.as_ref().unwrap());
        let seen = logical(ours.plan.graph(TRAIN).unwrap(), &names);
        assert_eq!(without_params(seen), recorded, "{}", scenario.id);
    }
}

/// Evaluators that differ in more than the data share the input, where NNI keeps it apart: the
/// logical graph is that of equal evaluators.
#[test]
fn inputs_are_joined_across_evaluators_on_one_data_stream() {
    let names = Names::read(MNIST);
    let all = all();
    let mut compared = 0;
    for scenario in all
        .iter()
        .filter(|s| s.id.contains("_different_") && s.dedup)
    {
        let equal = scenario.id.replace("_different_", "_equal_");
        let equal = all.iter().find(|s| s.id == equal).unwrap();
        let recorded = logical_view(equal.logical.as_ref().unwrap());
        for differ in [Differ::Rate, Differ::Seed] {
            let ours = grouped(scenario, differ);
            let seen = logical(ours.plan.graph(TRAIN).unwrap(), &names);
            assert_eq!(without_params(seen), recorded, "{}", scenario.id);
            compared += 1;
        }
    }
    assert_eq!(compared, 5 * 3 * 2 * 2);
}

#[test]
fn groups_are_as_recorded() {
    for scenario in all() {
        for differ in [Differ::Data, Differ::Rate, Differ::Seed] {
            let ours = grouped(&scenario, differ);
            assert_eq!(ours.told(), scenario.groups, "{} {differ:?}", scenario.id);
        }
    }
}

#[test]
fn assemblies_are_as_recorded() {
    let names = Names::read(MNIST);
    let mut compared = 0;
    for scenario in all() {
        for differ in [Differ::Data, Differ::Rate] {
            let ours = grouped(&scenario, differ).assemblies();
            assert_eq!(ours.len(), scenario.assembled.len());
            for (ours, recorded) in ours.iter().zip(&scenario.assembled) {
                let Ok(recorded) = recorded else { continue };
                assert_eq!(ours.len(), 1, "{}: one host, one assembly", scenario.id);
                let seen = assembled(&ours[0], &names);
                assert_eq!(seen, assembly_view(recorded), "{} {differ:?}", scenario.id);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * 261);
}

/// Loss and metrics change nothing of what is seen of the model.
#[test]
fn judged_models_are_assembled_as_recorded() {
    let names = Names::read(MNIST);
    for scenario in scenarios("mnist_N5_D4.json") {
        let models = submissions(MNIST, Some(PIXELS), &scenario.evaluators, Differ::Seed);
        let ours = Grouped::new(&judged(models), scenario.dedup, &scenario.devices);
        assert_eq!(ours.told(), scenario.groups, "{}", scenario.id);
        for (ours, recorded) in ours.assemblies().iter().zip(&scenario.assembled) {
            let seen = assembled(&ours[0], &names);
            assert_eq!(
                seen,
                assembly_view(recorded.as_ref().unwrap()),
                "{}",
                scenario.id
            );
        }
    }
}

/// A group over two hosts becomes one assembly a host, with the devices that NNI dealt; NNI has an
/// error instead.
#[test]
fn defect_05_a_group_on_two_hosts_is_an_assembly_on_each() {
    let names = Names::read(MNIST);
    let alone = alone();
    let mut failed = 0;
    for scenario in all() {
        let ours = grouped(&scenario, Differ::Seed);
        let groups = scenario.groups.iter().zip(ours.assemblies());
        for ((group, ours), recorded) in groups.zip(&scenario.assembled) {
            if let Err(message) = recorded {
                assert_eq!(message, CROSS_HOST, "{}", scenario.id);
                failed += 1;
            }
            let mut hosts: Vec<&str> = Vec::new();
            for (_, device) in group {
                let host = device.split('/').next().unwrap();
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
            assert_eq!(ours.len(), hosts.len(), "{}", scenario.id);
            for (ours, host) in ours.iter().zip(hosts) {
                let here = group
                    .iter()
                    .filter(|(_, d)| d.split('/').next() == Some(host));
                let here: Vec<(usize, &str)> = here.map(|(m, d)| (m + 1, &**d)).collect();
                assert_eq!(
                    assembled(ours, &names),
                    expected(&alone, &here),
                    "{}",
                    scenario.id
                );
            }
            if let Ok(recorded) = recorded {
                // So what is expected of two hosts is what NNI does on one.
                let members: Vec<_> = group.iter().map(|(m, d)| (m + 1, &**d)).collect();
                assert_eq!(expected(&alone, &members), assembly_view(recorded));
            }
        }
    }
    assert_eq!(failed, 10);
}

/// The policy starts all that the recordings have on devices of their own at once.
#[test]
fn defect_05_the_policy_starts_assemblies_on_both_hosts() {
    for scenario in all() {
        let letters = &scenario.evaluators;
        let models = submissions(MNIST, Some(PIXELS), letters, Differ::Rate);
        let ours = Grouped::new(&models, scenario.dedup, &scenario.devices);
        let plan = Verified::new(ours.plan).unwrap();
        let request = Request {
            plan: &plan,
            devices: &ours.devices,
            batch_sizes: &vec![32; models.len()],
            evaluators: &evaluator_classes(&models),
        };
        let placement = Nni.place(&request).unwrap();
        let mut taken: Vec<&str> = Vec::new();
        let mut started = 0;
        for group in &scenario.groups {
            if group.iter().any(|(_, device)| taken.contains(&&**device)) {
                break;
            }
            taken.extend(group.iter().map(|(_, device)| &**device));
            started += group.len();
        }
        let mut seen: Vec<(usize, String)> = Vec::new();
        for assembly in &placement.assemblies {
            for (model, device) in assembly.models.iter().zip(&assembly.model_devices) {
                let device = &assembly.devices[*device];
                seen.push((
                    model.index(),
                    format!("{}/gpu{}", device.host, device.index),
                ));
            }
            assert!(
                assembly
                    .devices
                    .iter()
                    .all(|d| d.host == assembly.devices[0].host)
            );
        }
        seen.sort();
        let recorded: Vec<_> = scenario
            .groups
            .iter()
            .flatten()
            .take(started)
            .cloned()
            .collect();
        assert_eq!(seen, recorded, "{}", scenario.id);
        let waiting: Vec<usize> = placement.leftover.iter().map(|m| m.index()).collect();
        assert_eq!(
            waiting,
            (started..letters.len()).collect::<Vec<_>>(),
            "{}",
            scenario.id
        );
    }
}

/// N models in one group: 6N+2 nodes, 7N edges, N copies.
#[test]
fn a_groups_size_is_linear_in_its_models() {
    let names = Names::read(MNIST);
    for count in [1, 2, 7, 30] {
        let models = submissions(MNIST, None, &"A".repeat(count), Differ::Data);
        let devices: Vec<String> = (0..count).map(|i| format!("h/gpu{i}")).collect();
        let ours = Grouped::new(&models, true, &devices).assemblies();
        assert_eq!((ours.len(), ours[0].len()), (1, 1));
        let view = assembled(&ours[0][0], &names);
        let copies = view.nodes.values().filter(|node| node.op == "to_device");
        assert_eq!(copies.count(), count);
        assert_eq!(view.nodes.len(), 6 * count + 2);
        assert_eq!(view.edges.len(), 7 * count);
    }
}

/// Planning the same twice gives the same bytes.
#[test]
fn defect_10_the_same_batch_gives_the_same_bytes() {
    let plan = || {
        let models = submissions(MNIST, Some(PIXELS), "AABA", Differ::Seed);
        let devices = ["h0/gpu0", "h1/gpu0", "h0/gpu1"].map(str::to_owned);
        let groups = Grouped::new(&judged(models), true, &devices).assemblies();
        let texts = groups
            .iter()
            .flatten()
            .map(|assembly| print(&assembly.plan));
        texts.collect::<Vec<_>>()
    };
    assert_eq!(plan(), plan());
}

fn without_params(mut view: View) -> View {
    view.cells.clear();
    view.nodes.values_mut().for_each(|node| node.params.clear());
    view
}

/// One model alone on one device, as recorded.
fn alone() -> View {
    let scenario = scenarios("mnist_N1_D1.json").remove(0);
    assembly_view(scenario.assembled[0].as_ref().unwrap())
}

/// What a group on one host should look like, made from a recording of one model.
fn expected(alone: &View, members: &[(usize, &str)]) -> View {
    let mut view = View::default();
    let first = members[0].0;
    for (place, (number, device)) in members.iter().enumerate() {
        let rename = |name: &String| match name.strip_prefix("M_1__inputs_to_M_1_") {
            Some(reader) => format!("M_{first}__inputs_to_M_{number}_{reader}"),
            None => name.replace("M_1_", &format!("M_{number}_")),
        };
        for (name, node) in &alone.nodes {
            let on = |at: &String| at.replace("h0/gpu0", device);
            let host = device.split('/').next().unwrap();
            let seen = Seen {
                placement: node
                    .placement
                    .as_ref()
                    .map(on)
                    .map(|p| p.replace("h0/cpu", &format!("{host}/cpu"))),
                to: node.to.as_ref().map(on),
                ..node.clone()
            };
            view.nodes.insert(rename(name), seen);
        }
        for (head, from, tail, slot) in &alone.edges {
            let slot = if tail == "_outputs" { place } else { *slot };
            let edge: Edge = (rename(head), *from, rename(tail), slot);
            view.edges.insert(edge);
        }
        for (name, cell) in &alone.cells {
            view.cells.insert(rename(name), cell.clone());
        }
    }
    view
}
