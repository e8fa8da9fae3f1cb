//! How many workers are idle, in every recorded state.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;
use syncarp_runtime::{
    AssemblyId, Config, Device, DeviceId, EngineEvent, Event, ModelId, ModelState, PlannedAssembly,
    RequestId, Scheduler, Time,
};

const TABLE: &str = include_str!("../goldens/nni/idle_worker_available.json");

/// A scheduler with so many free devices, so many models in the queue and none or one to retry.
fn state(free: u32, queued: u32, to_retry: u32, max_concurrency: Option<u32>) -> Scheduler {
    // One device is busy, so that a retry can be refused the free ones without failing for good.
    let device = |index| Device {
        host: "h0".into(),
        index,
    };
    let wait = Duration::from_secs(60);
    let config = Config {
        batch_waiting_time: wait,
        max_concurrency: max_concurrency.and_then(NonZeroU32::new),
        ..Config::new((0..=free).map(device).collect())
    };
    let mut scheduler = Scheduler::new(config).expect("the settings are right");
    let due = Time::ZERO.after(wait);
    let mut step = |at, event| scheduler.step(at, event, &mut Vec::new());
    let assembly = |models: &[u32], device| PlannedAssembly {
        models: models.iter().copied().map(ModelId).collect(),
        devices: vec![DeviceId(device)],
    };
    let planned = |request, assemblies: Vec<PlannedAssembly>, leftover: &[u32]| Event::Planned {
        request: RequestId(request),
        assemblies,
        leftover: leftover.iter().copied().map(ModelId).collect(),
    };
    let breaks = |assembly| Event::Engine {
        assembly: AssemblyId(assembly),
        event: EngineEvent::AssemblyFailed {
            message: "killed".into(),
        },
    };
    let first = match (free, to_retry) {
        (_, 0) => vec![assembly(&[0, 1, 2], 0)],
        (0, _) => vec![assembly(&[0, 1, 2], 0)],
        _ => vec![assembly(&[0], 0), assembly(&[1, 2], 1)],
    };
    let models = [0, 1, 2].map(ModelId).to_vec();
    step(Time::ZERO, Event::SubmitAll { models });
    step(due, Event::Tick);
    step(due, planned(0, first, &[]));
    match (free, to_retry) {
        (_, 0) => {}
        (0, _) => {
            // Of three that are tried again one ends, one has the only device, and one waits.
            step(due, Event::StopModel { model: ModelId(2) });
            step(due, breaks(0));
            step(due, planned(1, vec![assembly(&[0], 0)], &[]));
        }
        _ => {
            // One is tried again, but finds no room on the devices that are free.
            step(due, Event::StopModel { model: ModelId(2) });
            step(due, breaks(1));
            step(due, planned(1, vec![], &[1]));
        }
    }
    let models = (10..10 + queued).map(ModelId).collect();
    step(due, Event::SubmitAll { models });
    scheduler
}

fn table() -> Vec<(u32, u32, u32, bool)> {
    let rows: Vec<Value> = serde_json::from_str(TABLE).expect("the recording is JSON");
    let number = |row: &Value, key: &str| row[key].as_u64().expect("a number") as u32;
    rows.iter()
        .map(|row| {
            let result = row["result"].as_bool().expect("a truth");
            let [free, queued, to_retry] = ["free", "queued", "to_retry"].map(|k| number(row, k));
            (free, queued, to_retry, result)
        })
        .collect()
}

#[test]
fn defect_14_idle_is_what_is_free_and_not_waited_for() {
    let rows = table();
    assert_eq!(rows.len(), 60);
    let mut wrong = 0;
    for (free, queued, to_retry, recorded) in rows {
        let here = format!("{free} free, {queued} queued, {to_retry} to retry");
        let scheduler = state(free, queued, to_retry, None);
        assert_eq!(scheduler.free_devices().count(), free as usize, "{here}");
        let count = |state| scheduler.counts().of(state) as u32;
        let waiting = [ModelState::Queued, ModelState::Retrying].map(count);
        assert_eq!(waiting, [queued, to_retry], "{here}");

        let difference = i64::from(free) - i64::from(queued) - i64::from(to_retry);
        let right = usize::try_from(difference).unwrap_or(0);
        assert_eq!(scheduler.idle_capacity(), right, "{here}");
        // NNI takes a number for a truth, so it is wrong exactly where the number is negative.
        assert_eq!(recorded, difference != 0, "{here}");
        wrong += usize::from(recorded != (right > 0));
    }
    assert_eq!(wrong, 35);
}

#[test]
fn what_may_not_run_is_not_idle() {
    for (free, queued, to_retry, _) in table() {
        // One assembly runs in each of these states, so one more may.
        let scheduler = state(free, queued, to_retry, Some(2));
        let here = format!("{free} free, {queued} queued, {to_retry} to retry");
        assert_eq!(scheduler.running().count(), 1, "{here}");
        assert_eq!(scheduler.free_devices().count(), free as usize, "{here}");
        let right = free.min(1).saturating_sub(queued + to_retry);
        assert_eq!(scheduler.idle_capacity(), right as usize, "{here}");
    }
}
