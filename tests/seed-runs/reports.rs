//! Reports by place: every recorded value, through the scheduler, and what becomes of the models.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use syncarp_runtime::{Cause, ModelEvent, ModelId, ModelState, Point};

use crate::world::World;

const ROWS: &str = include_str!("../goldens/nni/metric_demux.json");

/// What Python prints, as JSON.
fn from_python(text: &str) -> Value {
    let json = text
        .replace('\'', "\"")
        .replace("None", "null")
        .replace("True", "true");
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// So many models in one assembly on as many devices.
fn merged(models: usize) -> World {
    let devices: Vec<String> = (0..models).map(|k| format!("h0/gpu{k}")).collect();
    let mut world = World::new(&devices, Duration::ZERO, None);
    world.submit(&"A".repeat(models));
    assert_eq!(world.starts.len(), 1);
    world
}

/// The metrics that listeners heard of, by model and name; a second time is an error.
fn heard(world: &World) -> BTreeMap<(u32, String), f64> {
    let mut heard = BTreeMap::new();
    for (_, model, event) in &world.told {
        if let ModelEvent::Metric(metric) = event {
            let before = heard.insert((*model, metric.name.clone()), metric.value);
            assert_eq!(before, None, "{model} was told {event:?} twice");
        }
    }
    heard
}

fn failures(world: &World) -> Vec<(u32, Cause)> {
    let told = world.told.iter();
    told.filter_map(|(_, model, event)| match event {
        ModelEvent::Failed { cause } => Some((*model, cause.clone())),
        _ => None,
    })
    .collect()
}

/// What NNI stored for a model: a number, or nothing.
fn stored(text: &str) -> Option<f64> {
    match text.trim_matches(['[', ']']) {
        "" | "None" => None,
        number => Some(number.parse().expect("a number")),
    }
}

#[test]
fn every_recorded_report_is_delivered_or_fails_whom_it_concerns() {
    let rows: Vec<Value> = serde_json::from_str(ROWS).expect("the recording is JSON");
    let (mut good, mut broken_up, mut half) = (0, 0, 0);
    for row in &rows {
        let text = row["reported"].as_str().expect("a text");
        let here = format!("{} {text}", row["kind"]);
        let at = match row["kind"].as_str() {
            Some("final") => Point::Final,
            _ => Point::Epoch(1),
        };
        let count = row["n_models"].as_u64().expect("a number") as usize;
        let kept = row["stored"].as_array().expect("a list").iter();
        let kept: Vec<Option<f64>> = kept.map(|s| stored(s.as_str().expect("text"))).collect();
        let report = from_python(text);
        let fits = report.as_array().is_some_and(|list| list.len() == count);

        let mut world = merged(count);
        world.report(0, at, &report);
        // What NNI keeps of a value is what is delivered, and nothing of a value that it refuses
        // (it tells listeners of that all the same, and of nothing that comes behind: defect 19).
        let mut delivered = heard(&world);
        let default = |model: u32| (model, "default".to_owned());
        for (model, value) in (0..).zip(&kept) {
            assert_eq!(delivered.get(&default(model)), value.as_ref(), "{here}");
        }
        delivered.retain(|(_, name), _| name != "default");
        let named = if text.contains("'x': 1}") {
            BTreeMap::from([((0, "x".to_owned()), 1.0)])
        } else {
            BTreeMap::new()
        };
        assert_eq!(delivered, named, "{here}");

        let failed: Vec<u32> = failures(&world).iter().map(|(model, _)| *model).collect();
        let bad = (0..).zip(&kept).filter(|(_, value)| value.is_none());
        let bad: Vec<u32> = bad.map(|(model, _)| model).collect();
        if fits {
            // A bad element fails its model for good, and that model alone.
            assert_eq!(failed, bad, "{here}");
            assert!(world.warnings.is_empty(), "{here}: {:?}", world.warnings);
            assert_eq!(
                world.count(ModelState::Running),
                count - bad.len(),
                "{here}"
            );
            if bad.is_empty() {
                assert_eq!(row["result"], "ok", "{here}");
                good += 1;
            } else {
                half += 1;
            }
            // And now it breaks down by nobody's fault.
            world.fail(0);
        } else {
            // Nobody knows what is whose: the engine is told to stop, and all are tried again.
            broken_up += 1;
            assert_eq!((failed.len(), bad.len()), (0, count), "{here}");
            assert_eq!(world.warnings.len(), 1, "{here}");
            assert_eq!(world.count(ModelState::Retrying), count, "{here}");
            world.engine(
                world.starts[0].assembly,
                syncarp_runtime::EngineEvent::AssemblyFinished,
            );
        }

        // Those that are left are tried again, each alone, and deliver what is new.
        let left: Vec<u32> = match count {
            1 => vec![],
            _ => (0..count as u32).filter(|m| !failed.contains(m)).collect(),
        };
        let again: Vec<Vec<u32>> = world.starts[1..].iter().map(|s| s.models.clone()).collect();
        let alone: Vec<Vec<u32>> = left.iter().map(|&m| vec![m]).collect();
        assert_eq!(again, alone, "{here}");
        for index in 1..world.starts.len() {
            world.report(index, at, &json!([0.75]));
            world.finish(index);
        }
        let heard = heard(&world);
        for &model in &left {
            let first = kept[model as usize];
            let value = heard.get(&default(model));
            assert_eq!(value, Some(&first.unwrap_or(0.75)), "{here}");
            let state = world.scheduler.state(ModelId(model));
            assert_eq!(state, Some(ModelState::Finished), "{here}");
        }
        assert_eq!(world.scheduler.counts().live(), 0, "{here}");
        assert_eq!(world.free().len(), count, "{here}");
    }
    assert_eq!((good, broken_up, half), (10, 12, 6));
    assert_eq!(rows.len(), 28);
}

#[test]
fn defect_19_nan_as_a_result_fails_its_model_alone() {
    for value in ["NaN", "Infinity", "-Infinity"] {
        let mut world = merged(2);
        world.report(0, Point::Epoch(1), &json!([value, 0.5]));
        assert_eq!(heard(&world).len(), 2, "on the way it is for the engine");
        assert!(failures(&world).is_empty());
        world.report(0, Point::Final, &json!([value, 0.25]));
        let (name, at) = ("default".to_owned(), Point::Final);
        let expected = (0, Cause::NonFiniteMetric { name, at });
        assert_eq!(failures(&world), [expected], "{value}");
        assert_eq!(world.scheduler.state(ModelId(1)), Some(ModelState::Running));
    }
}

#[test]
fn places_are_the_planners_and_not_the_order_of_the_ids() {
    // Two groups of two by evaluator: each list is that of its own assembly.
    let devices: Vec<String> = (0..4).map(|k| format!("h0/gpu{k}")).collect();
    let mut world = World::new(&devices, Duration::ZERO, None);
    world.submit("AABB");
    assert_eq!(world.starts.len(), 2);
    world.report(1, Point::Final, &json!([0.2, 0.3]));
    world.report(0, Point::Final, &json!([0.0, 0.1]));
    let heard: Vec<(u32, f64)> = heard(&world)
        .into_iter()
        .map(|((model, _), value)| (model, value))
        .collect();
    assert_eq!(heard, [(0, 0.0), (1, 0.1), (2, 0.2), (3, 0.3)]);
}
