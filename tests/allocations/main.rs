//! A steady-state training step allocates nothing: counted by an allocator of our own, from the
//! second step of an epoch to its last, on one thread and on two.

#[path = "../common/mod.rs"]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use common::{CNN, MLP, engine, planner, stream, trial};
use syncarp_engine::{Engine, Event, Job, Sink};
use syncarp_place::parse_devices;
use syncarp_runtime::Trial;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Trains models merged and counts what is allocated between the second step's loss and the last's
/// of the second epoch: during the first, the thread that started the engine is still busy.
fn count(devices: &str, cores: usize) -> (u64, u64) {
    let trials = [
        trial(MLP, "mlp", "adam"),
        trial(CNN, "cnn", "sgd"),
        trial(MLP, "mlp2", "sgd"),
        trial(CNN, "cnn2", "adamw"),
    ];
    let planner = planner();
    let devices = parse_devices(devices, cores).unwrap();
    let refs: Vec<&Trial> = trials.iter().collect();
    let planned = planner.plan(&refs, &devices).unwrap();
    let mut job: Job = planner.job(0, &planned, 0, &refs);
    job.step_losses = true;
    job.data = stream();
    let (done, ended) = sync_channel(1);
    // (allocations at the first of those losses, steps seen, allocations at the latest loss).
    let seen = Arc::new(Mutex::new((0u64, 0u64, 0u64)));
    let (told, models) = (seen.clone(), trials.len() - 1);
    let sink: Sink = Arc::new(move |_, event| match event {
        Event::Loss { model, step, loss } if model == models && step > 10 => {
            assert!(loss.is_finite());
            let now = ALLOCATIONS.load(Ordering::Relaxed);
            let mut seen = told.lock().unwrap();
            if step == 11 {
                seen.0 = now;
            }
            seen.1 += 1;
            seen.2 = now;
        }
        Event::AssemblyFailed { cause } => panic!("{cause}"),
        Event::AssemblyFinished => done.send(()).unwrap(),
        _ => {}
    });
    let mut engine = engine();
    engine.start(job, sink);
    ended.recv().unwrap();
    let seen = seen.lock().unwrap();
    (seen.2 - seen.0, seen.1)
}

/// One test, since the count is the whole process's.
#[test]
fn a_steady_step_allocates_nothing() {
    for (devices, cores) in [("cpu:0", 1), ("cpu:0", 2), ("cpu:0,cpu:1", 2)] {
        let (allocations, steps) = count(devices, cores);
        assert_eq!(steps, 9, "{devices} {cores}");
        assert_eq!(allocations, 0, "{devices} {cores}");
    }
}
