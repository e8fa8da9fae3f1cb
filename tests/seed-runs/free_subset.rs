//! Batches that are planned while some devices are busy.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use syncarp_runtime::ModelState;

use crate::world::{World, numbers, texts};

const ROWS: &str = include_str!("../goldens/nni/assemble_with_free_subset.json");

/// The right answers where NNI's is an error: free devices, evaluators, the number of the defect,
/// and what is to start, `models@devices`. What is not to start waits.
///
/// Defect 3: where a batch makes more than one group, busy devices are grouped over as well.
/// Defect 4: more than one group of joined models, of which the copies cannot be made.
/// Defect 5: devices of two hosts.
const RIGHT: [(&str, &str, u32, &str); 16] = [
    ("h0/gpu2 h0/gpu3", "AB", 3, "0@h0/gpu2 1@h0/gpu3"),
    ("h0/gpu0 h0/gpu3", "AB", 3, "0@h0/gpu0 1@h0/gpu3"),
    ("", "A", 3, ""),
    ("", "AA", 3, ""),
    ("h0/gpu2 h0/gpu3", "AAAA", 3, "0,1@h0/gpu2,h0/gpu3"),
    ("h0/gpu3", "AAA", 3, "0@h0/gpu3"),
    (
        "h0/gpu0 h0/gpu1 h1/gpu0 h1/gpu1",
        "AAA",
        5,
        "0,1@h0/gpu0,h0/gpu1 2@h1/gpu0",
    ),
    (
        "h0/gpu0 h0/gpu1 h1/gpu0 h1/gpu1",
        "AAAA",
        5,
        "0,1@h0/gpu0,h0/gpu1 2,3@h1/gpu0,h1/gpu1",
    ),
    ("h0/gpu1 h1/gpu0", "AA", 5, "0@h0/gpu1 1@h1/gpu0"),
    ("h0/gpu1 h1/gpu0", "AB", 3, "0@h0/gpu1 1@h1/gpu0"),
    ("h0/gpu0 h1/gpu0", "AA", 5, "0@h0/gpu0 1@h1/gpu0"),
    ("h0/gpu0 h1/gpu0", "AB", 3, "0@h0/gpu0 1@h1/gpu0"),
    ("h1/gpu0 h1/gpu1", "AB", 3, "0@h1/gpu0 1@h1/gpu1"),
    (
        "h0/gpu0 h0/gpu1 h0/gpu2 h0/gpu3",
        "AAB",
        4,
        "0,1@h0/gpu0,h0/gpu1 2@h0/gpu2",
    ),
    (
        "h0/gpu0 h0/gpu1 h0/gpu2 h0/gpu3",
        "AABB",
        4,
        "0,1@h0/gpu0,h0/gpu1 2,3@h0/gpu2,h0/gpu3",
    ),
    (
        "h0/gpu0 h0/gpu1 h0/gpu2 h0/gpu3",
        "ABAB",
        4,
        "0@h0/gpu0 1@h0/gpu1 2@h0/gpu2 3@h0/gpu3",
    ),
];

/// A world of which just these devices are free, and how many models keep the others busy.
fn with_free(devices: &[String], free: &[String]) -> (World, u32) {
    let mut world = World::new(devices, Duration::ZERO, None);
    // Letters that no row has, each another, so that every model has an assembly of its own.
    let letters: String = ('a'..).take(devices.len()).collect();
    world.submit(&letters);
    for index in 0..devices.len() {
        assert_eq!(world.starts[index].devices, devices[index..=index]);
        if free.contains(&devices[index]) {
            world.finish(index);
        }
    }
    assert_eq!(world.free(), free);
    (world, devices.len() as u32)
}

/// What was started since, models as the recordings number them.
fn show(starts: &[crate::world::Start], first: u32) -> String {
    let show = |start: &crate::world::Start| {
        let models = start.models.iter().map(|m| (m - first).to_string());
        let models: Vec<String> = models.collect();
        format!("{}@{}", models.join(","), start.devices.join(","))
    };
    let starts: Vec<String> = starts.iter().map(show).collect();
    starts.join(" ")
}

/// The recording's trials in the same form.
fn recorded(row: &Value) -> String {
    let trials = row["trials"].as_array().expect("a list").iter();
    let show = |trial: &Value| {
        let models = numbers(&trial["models"]);
        let models: Vec<String> = models.iter().map(u32::to_string).collect();
        format!(
            "{}@{}",
            models.join(","),
            texts(&trial["devices"]).join(",")
        )
    };
    trials.map(show).collect::<Vec<_>>().join(" ")
}

/// Ends everything that runs, again and again, until nothing does.
fn drain(world: &mut World) {
    let mut index = 0;
    while index < world.starts.len() {
        let assembly = world.starts[index].assembly;
        if world
            .scheduler
            .running()
            .any(|run| run.assembly == assembly)
        {
            world.finish(index);
        }
        index += 1;
    }
}

#[test]
fn batches_are_grouped_over_the_free_devices_as_recorded_or_right() {
    let rows: Vec<Value> = serde_json::from_str(ROWS).expect("the recording is JSON");
    assert_eq!(rows.len(), 37);
    let mut defects: BTreeMap<u32, usize> = BTreeMap::new();
    for row in &rows {
        let devices = texts(&row["all_devices"]);
        let free = texts(&row["free"]);
        let evaluators = row["evaluators"].as_str().expect("letters");
        let here = format!("{evaluators} on {free:?}");
        let (mut world, first) = with_free(&devices, &free);
        let before = world.starts.len();
        world.submit(evaluators);
        let started = show(&world.starts[before..], first);
        if row.get("error").is_none() {
            assert_eq!(started, recorded(row), "{here}");
            assert_eq!(world.free(), texts(&row["free_after"]), "{here}");
        } else {
            let listed = |(on, of, ..): &&(&str, &str, u32, &str)| {
                *on == free.join(" ") && *of == evaluators
            };
            let right = RIGHT.iter().find(listed);
            let (_, _, defect, right) = right.unwrap_or_else(|| panic!("{here} is an error"));
            assert_eq!(started, *right, "{here}, defect {defect} of NNI's");
            *defects.entry(*defect).or_default() += 1;
            let used: Vec<&String> = world.starts[before..]
                .iter()
                .flat_map(|s| &s.devices)
                .collect();
            let left: Vec<String> = free.iter().filter(|d| !used.contains(d)).cloned().collect();
            assert_eq!(world.free(), left, "{here}");
        }
        // What has no device waits, and stands before whoever comes now.
        let placed: usize = world.starts[before..].iter().map(|s| s.models.len()).sum();
        let waiting = evaluators.len() - placed;
        assert_eq!(world.count(ModelState::Queued), waiting, "{here}");
        let late = world.submit("z")[0];
        drain(&mut world);
        let starts = world.starts[before..].iter();
        let order: Vec<u32> = starts.flat_map(|s| s.models.clone()).collect();
        assert_eq!(order, (first..=late.0).collect::<Vec<_>>(), "{here}");
        assert_eq!(
            world.count(ModelState::Finished),
            late.0 as usize + 1,
            "{here}"
        );
        assert_eq!(world.free(), devices, "{here}");
        assert!(world.warnings.is_empty(), "{here}: {:?}", world.warnings);
    }
    assert_eq!(defects, BTreeMap::from([(3, 9), (4, 3), (5, 4)]));
}

/// In a batch larger than the free devices everybody else waits for one device at a time.
#[test]
fn defect_03_what_waits_is_due_at_once_when_a_device_is_free() {
    let devices: Vec<String> = (0..4).map(|k| format!("h0/gpu{k}")).collect();
    let (mut world, first) = with_free(&devices, &devices[2..]);
    world.submit("AAAA");
    let before = world.starts.len();
    assert_eq!(show(&world.starts[4..], first), "0,1@h0/gpu2,h0/gpu3");
    world.finish(1);
    assert_eq!(show(&world.starts[before..], first), "2@h0/gpu1");
    world.finish(0);
    assert_eq!(show(&world.starts[before + 1..], first), "3@h0/gpu0");
}
