//! What the scheduler keeps of models that have ended, in bytes of the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use syncarp_runtime::{
    Attempt, Command, Config, Device, EngineEvent, Event, ModelId, PlannedAssembly, Point,
    RawMetric, RawValue, Scheduler, Time,
};

/// Counts bytes that are held. One test lives in this program, so all of them are its.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Trains models one after the other on one device, two to an assembly. Of each a hundred epochs
/// are reported, and every second assembly breaks down first. Gives the most that an event looked
/// at.
fn train(scheduler: &mut Scheduler, models: std::ops::Range<u32>) -> u64 {
    let mut worst = 0;
    let mut commands = Vec::new();
    for first in models.step_by(2) {
        let pair = vec![ModelId(first), ModelId(first + 1)];
        let mut events = vec![Event::SubmitAll { models: pair }];
        while let Some(event) = events.pop() {
            let before = scheduler.statistics().visited;
            scheduler.step(Time::ZERO, event, &mut commands);
            worst = worst.max(scheduler.statistics().visited - before);
            for command in commands.drain(..) {
                match command {
                    Command::Plan {
                        request,
                        mut models,
                        devices,
                        alone,
                        ..
                    } => {
                        let leftover = models.split_off(if alone { 1 } else { models.len() });
                        let assemblies = vec![PlannedAssembly { models, devices }];
                        events.push(Event::Planned {
                            request,
                            assemblies,
                            leftover,
                        });
                    }
                    Command::Start {
                        assembly, models, ..
                    } => {
                        let engine = |event| Event::Engine { assembly, event };
                        if models.len() > 1 && first % 4 == 0 {
                            let message = "killed".into();
                            events.push(engine(EngineEvent::AssemblyFailed { message }));
                        } else {
                            events.push(engine(EngineEvent::AssemblyFinished));
                            let ends = models.iter().map(|started| started.model);
                            let ends = ends.map(|model| EngineEvent::ModelFinished { model });
                            events.extend(ends.map(engine));
                        }
                        events.extend((1..=100).rev().map(|epoch| {
                            let metrics = models.iter().map(|s| loss(s.model, s.attempt, epoch));
                            let metrics = metrics.collect();
                            engine(EngineEvent::Metrics { metrics })
                        }));
                    }
                    Command::Warn { warning } => panic!("{warning}"),
                    _ => {}
                }
            }
        }
    }
    worst
}

fn loss(model: ModelId, attempt: Attempt, epoch: u64) -> RawMetric {
    RawMetric {
        model,
        attempt,
        name: "loss".into(),
        at: Point::Epoch(epoch),
        value: RawValue::Number(0.5),
    }
}

/// The seed system keeps 13.6 KiB of every model for ever, and each end of a trial scans them all.
#[test]
fn defect_18_ended_models_cost_a_record_and_no_end_scans_them() {
    let device = Device {
        host: "host".into(),
        index: 0,
    };
    let config = Config {
        batch_waiting_time: Duration::ZERO,
        ..Config::new(vec![device])
    };
    let mut scheduler = Scheduler::new(config).expect("the settings are right");
    let early = train(&mut scheduler, 0..1_000);
    let before = HELD.load(Ordering::Relaxed);
    let late = train(&mut scheduler, 1_000..21_000);
    let each = (HELD.load(Ordering::Relaxed) - before) as f64 / 20_000.0;
    assert_eq!(scheduler.counts().total(), 21_000);
    assert_eq!(scheduler.counts().live(), 0);
    // A record and its id are 28 bytes, in a tree whose leaves are half full.
    assert!(each <= 64.0, "{each} bytes an ended model");
    assert_eq!(early, late, "an event costs more after 20,000 models");
}
