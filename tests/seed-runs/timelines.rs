//! Scripted runs: who starts when, where and with whom, and how everything ends.

use std::time::Duration;

use serde_json::Value;
use syncarp_runtime::{ModelEvent, ModelId, ModelState, Time};

use crate::world::{World, numbers, seconds, texts};

const TIMELINES: &str = include_str!("../goldens/nni/scheduler_timelines.json");

/// When each assembly starts here, to the microsecond. NNI looks once a second and starts one
/// retry at a look, so it is later (its defect 16).
const STARTS: [(&str, &[f64]); 6] = [
    ("batch waits for the oldest", &[3.0]),
    ("batch limited by devices", &[2.0, 5.0]),
    ("failed merged trial: retry singles first", &[0.0, 3.0, 3.0]),
    ("failed single: final", &[0.0]),
    ("retried single fails again: final", &[0.0, 2.5, 2.5]),
    ("nothing due, nothing happens", &[]),
];

/// The timeline in which NNI runs two assemblies of two models, because its limit on concurrency
/// is one on the size of a batch.
const CONCURRENCY: &str = "max_concurrency caps the batch, not the running trials";

fn timelines() -> Vec<Value> {
    serde_json::from_str(TIMELINES).expect("the recording is JSON")
}

/// A world as a timeline begins.
fn world(timeline: &Value) -> World {
    let count = timeline["devices"].as_u64().expect("a number");
    let devices: Vec<String> = (0..count).map(|k| format!("h0/gpu{k}")).collect();
    let waiting = timeline["batch_waiting_time"].as_f64().expect("seconds");
    let max = timeline["max_concurrency"].as_u64().map(|max| max as u32);
    World::new(&devices, Duration::from_secs_f64(waiting), max)
}

/// Goes through the script, and on to a second after whatever was recorded last. Gives for each
/// model when it was submitted, and all moments at which an assembly failed.
fn play(world: &mut World, timeline: &Value) -> (Vec<Time>, Vec<Time>) {
    let (mut submitted, mut failed) = (Vec::new(), Vec::new());
    let script = timeline["script"].as_array().expect("a list");
    for line in script {
        let at = seconds(&line[0]);
        world.pass_until(at);
        let number = line[2].as_u64().expect("a number") as usize;
        match (line[1].as_str(), line[3].as_str()) {
            (Some("submit"), None) => {
                let models = world.submit(&"A".repeat(number));
                submitted.extend(models.iter().map(|_| at));
            }
            (Some("end"), Some("trained")) => world.finish(number),
            (Some("end"), Some("failed")) => {
                failed.push(at);
                world.fail(number);
            }
            other => panic!("{other:?} is not in the recordings"),
        }
    }
    let recorded = timeline["submissions"].as_array().expect("a list");
    let moments = recorded.iter().chain(script).map(|line| seconds(&line[0]));
    let last = moments.max().expect("something happens");
    world.pass_until(last.after(Duration::from_secs(1)));
    (submitted, failed)
}

/// The word that the recordings have for a state.
fn status(state: ModelState) -> &'static str {
    match state {
        ModelState::Queued | ModelState::Retrying => "frozen",
        ModelState::Planning | ModelState::Running => "training",
        ModelState::Finished => "trained",
        ModelState::Failed => "failed",
        ModelState::Stopped => "stopped",
    }
}

fn statuses(world: &World) -> Vec<&'static str> {
    let models = world.scheduler.models();
    models.map(|(_, state)| status(state)).collect()
}

/// The ends that listeners heard of, as the recordings write them.
fn ends(world: &World) -> Vec<(Time, u32, &'static str)> {
    let ends = world
        .told
        .iter()
        .filter(|(_, _, event)| event.is_terminal());
    ends.map(|(at, model, event)| match event {
        ModelEvent::Finished { .. } => (*at, *model, "trained"),
        _ => (*at, *model, "failed"),
    })
    .collect()
}

#[test]
fn every_timeline_runs_as_recorded_and_no_later() {
    let mut known = 0;
    for timeline in timelines() {
        let name = timeline["name"].as_str().expect("a name");
        if name == CONCURRENCY {
            continue;
        }
        let exact = STARTS.iter().find(|(n, _)| *n == name);
        let (_, exact) = exact.unwrap_or_else(|| panic!("a new timeline: {name}"));
        known += 1;
        let mut world = world(&timeline);
        let (submitted, failed) = play(&mut world, &timeline);
        let recorded = timeline["submissions"].as_array().expect("a list");
        assert_eq!(world.starts.len(), recorded.len(), "{name}");
        let waiting = timeline["batch_waiting_time"].as_f64().expect("seconds");
        let mut tried = vec![0; submitted.len()];
        for ((start, recorded), exact) in world.starts.iter().zip(recorded).zip(*exact) {
            assert_eq!(start.models, numbers(&recorded[1]), "{name}");
            assert_eq!(start.devices, texts(&recorded[2]), "{name}");
            let first = start.models[0] as usize;
            let due = match tried[first] {
                0 => submitted[first].after(Duration::from_secs_f64(waiting)),
                retry => failed[retry - 1],
            };
            assert!(due <= start.at, "{name}: {start:?} is early");
            assert!(start.at <= seconds(&recorded[0]), "{name}: {start:?}");
            assert_eq!(start.at, seconds(&Value::from(*exact)), "{name}");
            start.models.iter().for_each(|m| tried[*m as usize] += 1);
        }
        let expected = timeline["events"].as_array().expect("a list").iter();
        let expected: Vec<_> = expected
            .map(|event| {
                assert_eq!(event[1], "training_end", "{name}");
                let model = event[2].as_u64().expect("a model") as u32;
                (seconds(&event[0]), model, event[3].as_str().expect("text"))
            })
            .collect();
        assert_eq!(ends(&world), expected, "{name}");
        assert_eq!(statuses(&world), texts(&timeline["final_status"]), "{name}");
        let left = |key: &str| timeline[key].as_u64().expect("a number") as usize;
        assert_eq!(
            world.count(ModelState::Queued),
            left("queue_left"),
            "{name}"
        );
        assert_eq!(
            world.count(ModelState::Retrying),
            left("retry_left"),
            "{name}"
        );
        assert!(world.warnings.is_empty(), "{name}: {:?}", world.warnings);
    }
    assert_eq!(known, STARTS.len(), "a timeline is missing");
}

#[test]
fn defect_15_one_assembly_of_four_and_then_one_of_two() {
    let timelines = timelines();
    let timeline = timelines.iter().find(|t| t["name"] == CONCURRENCY);
    let timeline = timeline.expect("it was recorded");
    // What NNI does: four trials' worth of models in two assemblies, a second apart.
    assert_eq!(timeline["submissions"][1][0], 3);
    let mut world = world(timeline);
    play(&mut world, timeline);
    assert_eq!(world.starts.len(), 1);
    let start = &world.starts[0];
    assert_eq!(start.models, [0, 1, 2, 3]);
    let devices = ["h0/gpu0", "h0/gpu1", "h0/gpu2", "h0/gpu3"];
    assert_eq!(start.devices, devices);
    // Due after one second; NNI was there after two and three.
    assert_eq!(start.at, Time::from_micros(1_000_000));
    assert_eq!(statuses(&world), texts(&timeline["final_status"]));
    assert_eq!(world.count(ModelState::Queued), 2);
    world.finish(0);
    assert_eq!(world.starts.len(), 2);
    assert_eq!(world.starts[1].models, [4, 5]);
    assert_eq!(world.starts[1].devices, devices[..2]);
    assert_eq!(world.starts[1].at, Time::from_micros(4_000_000));
}

#[test]
fn defect_15_no_more_assemblies_run_than_may() {
    let devices: Vec<String> = (0..4).map(|k| format!("h0/gpu{k}")).collect();
    let mut world = World::new(&devices, Duration::ZERO, Some(2));
    // Six evaluators, so six assemblies of one model.
    world.submit("ABCDEF");
    for ended in 0..6 {
        let running = world.scheduler.running().count();
        assert_eq!(running, 2.min(6 - ended), "after {ended} ends");
        let started: Vec<u32> = world.starts.iter().map(|s| s.models[0]).collect();
        assert_eq!(started, (0..started.len() as u32).collect::<Vec<_>>());
        world.finish(ended);
    }
    assert_eq!(world.count(ModelState::Finished), 6);
    assert_eq!(world.scheduler.attempts(ModelId(5)), Some(1));
}
