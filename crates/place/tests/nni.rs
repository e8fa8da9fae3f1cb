//! The policy `nni`, on plans written by hand.

use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{Model, Plan, TRAIN, Verified, parse, print};
use syncarp_place::nni::{by_host, groups};
use syncarp_place::{Device, Nni, PlaceError, Placement, Policy, Request, parse_devices};

/// Models of one node each; each run of `joined` reads one input.
fn plan(joined: &[&[usize]]) -> Plan {
    let count = joined.iter().map(|run| run.len()).sum::<usize>();
    let models: String = (0..count)
        .map(|m| format!("model m{m} \"{m}\" data d0 {{}}\n"))
        .collect();
    let mut graph = String::new();
    for (run, members) in joined.iter().enumerate() {
        let from: Vec<_> = members.iter().map(|m| format!("m{m} \"in\"")).collect();
        let from = from.join(", ");
        graph += &format!(
            "x{run} = input {{model=m{}, name=\"x\"}} @{from}\n",
            members[0]
        );
        for m in *members {
            graph += &format!("y{m} = relu x{run} @m{m} \"act\"\n");
        }
    }
    for m in 0..count {
        graph += &format!("result m{m} \"y\" = y{m}\n");
    }
    let text = format!("syncarp 1\n{models}graph \"train\" {{\n{graph}}}\n");
    let ops = Arc::new(syncarp_ops::standard());
    parse(&Source::new("t", text), &ops).unwrap_or_else(|e| panic!("{e}"))
}

fn devices(list: &str) -> Vec<Device> {
    parse_devices(list, 8).unwrap()
}

fn place(plan: &Plan, evaluators: &[usize], list: &str) -> Placement {
    let plan = Verified::new(plan.clone()).unwrap();
    let request = Request {
        plan: &plan,
        devices: &devices(list),
        batch_sizes: &vec![32; evaluators.len()],
        evaluators,
    };
    Nni.place(&request).unwrap()
}

/// Models by group, as numbers.
fn grouped(plan: &Plan, evaluators: &[usize], devices: usize) -> Vec<Vec<(usize, usize)>> {
    let plain = |group: Vec<(Model, usize)>| group.iter().map(|(m, d)| (m.index(), *d)).collect();
    groups(plan, evaluators, devices)
        .into_iter()
        .map(plain)
        .collect()
}

/// For each assembly, its models and their devices; then who waits.
fn told(placement: &Placement) -> (Vec<Vec<String>>, Vec<usize>) {
    let told = placement.assemblies.iter().map(|assembly| {
        let members = assembly.models.iter().zip(&assembly.model_devices);
        members
            .map(|(model, device)| format!("{model} on {}", assembly.devices[*device]))
            .collect()
    });
    let waiting = placement.leftover.iter().map(|model| model.index());
    (told.collect(), waiting.collect())
}

#[test]
fn a_group_ends_with_the_devices_the_evaluator_or_the_shared_nodes() {
    let all = plan(&[&[0, 1, 2, 3, 4]]);
    assert_eq!(
        grouped(&all, &[0; 5], 3),
        [vec![(0, 0), (1, 1), (2, 2)], vec![(3, 0), (4, 1)]]
    );
    assert_eq!(
        grouped(&all, &[0, 0, 1, 0, 0], 8),
        [vec![(0, 0), (1, 1)], vec![(2, 2)], vec![(3, 3), (4, 4)]]
    );
    // The device is the model's number's, not the place's in the group.
    assert_eq!(
        grouped(&all, &[0, 1, 1, 1, 1], 2),
        [vec![(0, 0)], vec![(1, 1), (2, 0)], vec![(3, 1), (4, 0)]]
    );
    let apart = plan(&[&[0], &[1]]);
    assert_eq!(grouped(&apart, &[0, 0], 4), [vec![(0, 0)], vec![(1, 1)]]);
}

/// Sharing with a model of an earlier group does not count, nor does sharing over the head of a
/// neighbour that shares nothing.
#[test]
fn only_sharing_within_the_group_counts() {
    let crossed = plan(&[&[0, 2], &[1, 3]]);
    assert_eq!(
        grouped(&crossed, &[0; 4], 4),
        [vec![(0, 0)], vec![(1, 1)], vec![(2, 2)], vec![(3, 3)]]
    );
    let late = plan(&[&[0, 1, 3], &[2]]);
    assert_eq!(
        grouped(&late, &[0; 4], 4),
        [vec![(0, 0), (1, 1)], vec![(2, 2)], vec![(3, 3)]]
    );
    // With two devices, 2 begins a group; that 3 shares with 0 and 1 is of no use to it.
    assert_eq!(
        grouped(&late, &[0; 4], 2),
        [vec![(0, 0), (1, 1)], vec![(2, 0)], vec![(3, 1)]]
    );
    // A chain: 1 shares with 0, and 2 with 1 alone.
    let mut chained = plan(&[&[0, 1], &[2]]);
    let text = print(&chained).replace("@m2 \"in\"", "@m1 \"in\", m2 \"in\"");
    chained = parse(&Source::new("t", text), &Arc::new(syncarp_ops::standard())).unwrap();
    assert_eq!(
        grouped(&chained, &[0; 3], 4),
        [vec![(0, 0), (1, 1), (2, 2)]]
    );
}

#[test]
fn inputs_are_in_the_hosts_memory_and_copied_once_a_device() {
    let placement = place(&plan(&[&[0, 1]]), &[0, 0], "h:4,h:7");
    assert_eq!(placement.assemblies.len(), 1);
    let text = print(&placement.assemblies[0].plan);
    assert_eq!(
        text.split_once("graph").unwrap().1,
        r#" "train" {
  v0 = input {model=m0, name="x"} : ?[*] on host @m0 "in", m1 "in"
  v1 = to_device v0 {to=0} : ?[*] on host @m0 "in"
  v2 = relu v1 : ?[*] on dev0 @m0 "act"
  v3 = to_device v0 {to=1} : ?[*] on host @m1 "in"
  v4 = relu v3 : ?[*] on dev1 @m1 "act"
  result m0 "y" = v2
  result m1 "y" = v4
}
"#
    );
}

/// A group over several hosts becomes an assembly a host, each with inputs of its own.
#[test]
fn hosts_get_assemblies_of_their_own() {
    let placement = place(&plan(&[&[0, 1, 2, 3]]), &[0; 4], "a:0,b:0,a:1,b:1");
    let (assemblies, waiting) = told(&placement);
    assert_eq!(
        assemblies,
        [
            vec!["m0 on a:0", "m2 on a:1"],
            vec!["m1 on b:0", "m3 on b:1"]
        ]
    );
    assert!(waiting.is_empty());
    for (assembly, first) in placement.assemblies.iter().zip(["0", "1"]) {
        let graph = assembly.plan.graph(TRAIN).unwrap();
        let inputs = graph.nodes().filter(|n| graph.op_name(*n) == "input");
        assert_eq!(inputs.count(), 1);
        assert_eq!(&*assembly.plan.models[0].name, first);
    }
    let parts = by_host(
        &[(Model::new(5), 1), (Model::new(6), 0)],
        &devices("a:0,b:3"),
    );
    assert_eq!(parts.len(), 2);
    assert_eq!(
        (parts[0].devices[0].index, parts[0].models[0]),
        (3, Model::new(5))
    );
}

/// No device is in two assemblies; who would need a taken one waits, and everybody behind.
#[test]
fn what_needs_a_taken_device_waits() {
    let all = plan(&[&[0, 1, 2, 3, 4]]);
    let (assemblies, waiting) = told(&place(&all, &[0; 5], "h:0,h:1"));
    assert_eq!(assemblies, [["m0 on h:0", "m1 on h:1"]]);
    assert_eq!(waiting, [2, 3, 4]);
    let (assemblies, waiting) = told(&place(&all, &[0, 1, 1, 2, 2], "h:0,h:1,h:2"));
    assert_eq!(
        assemblies,
        [vec!["m0 on h:0"], vec!["m1 on h:1", "m2 on h:2"]]
    );
    assert_eq!(waiting, [3, 4]);
}

#[test]
fn without_devices_there_is_an_error() {
    let plan = Verified::new(plan(&[&[0]])).unwrap();
    let request = Request {
        plan: &plan,
        devices: &[],
        batch_sizes: &[32],
        evaluators: &[0],
    };
    assert!(matches!(Nni.place(&request), Err(PlaceError::NoDevices)));
    assert_eq!(Nni.models_per_device().map(u32::from), Some(1));
}

/// What two models share runs with the first of them, and its copies stand for both: when one
/// leaves, what the other needs stays and still stands for somebody.
#[test]
fn a_copy_stays_until_its_last_reader_leaves() {
    let text = r#"syncarp 1
model m0 "a" data d0 {}
model m1 "b" data d0 {}
graph "train" {
  x = input {model=m0, name="x"} @m0, m1
  shared = relu x @m0 "body", m1 "body"
  y0 = tanh shared @m0 "head"
  y1 = tanh shared @m1 "head"
  result m0 "y" = y0
  result m1 "y" = y1
}
"#;
    let plan = parse(&Source::new("t", text), &Arc::new(syncarp_ops::standard())).unwrap();
    let placement = place(&plan, &[0, 0], "h:0,h:1");
    let placed = &placement.assemblies[0].plan;
    let left = syncarp_logical::project(placed, &[Model::new(1)]);
    assert_eq!(
        print(&left).split_once("graph").unwrap().1,
        r#" "train" {
  v0 = input {model=m0, name="x"} : ?[*] on host @m0
  v1 = to_device v0 {to=0} : ?[*] on host @m0
  v2 = relu v1 : ?[*] on dev0 @m0 "body"
  v3 = to_device v2 {to=1} : ?[*] on dev0 @m0 "body"
  v4 = tanh v3 : ?[*] on dev1 @m0 "head"
  result m0 "y" = v4
}
"#
    );
}
