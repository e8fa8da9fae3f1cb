//! `canonicalize`, `cse` and `dce` on many models: nanoseconds and bytes a node, at 1e4, 1e5 and 1e6
//! nodes. Models have their first half in common, and every rule family something to do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use syncarp_benches::blocks;
use syncarp_ir::Plan;
use syncarp_pass::{Context, Manager, PassRegistry};

/// Counts bytes that are held, and the most that were.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
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

const PIPELINES: [&str; 4] = ["canonicalize", "cse", "dce", "canonicalize,cse,dce"];

fn manager(pipeline: &str) -> Manager {
    let mut registry = PassRegistry::new();
    syncarp_pass_canonicalize::register(&mut registry).expect("one pass");
    syncarp_pass_cse::register(&mut registry).expect("one pass");
    syncarp_pass_dce::register(&mut registry).expect("one pass");
    let mut manager = Manager::new(&registry, pipeline).expect("a pipeline");
    manager.set_verify(false);
    manager
}

/// Seconds that this thread has had a processor: what neighbours do counts less than in wall time.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds * 1e-9)
}

fn run(manager: &Manager, mut plan: Plan) -> Plan {
    manager
        .run(&mut plan, &mut Context::bare(), &mut ())
        .expect("the passes run");
    plan
}

#[expect(clippy::print_stdout, reason = "a bench tells its figures")]
fn figures(plan: &Plan, pipeline: &str, models: usize, nodes: usize) {
    let manager = manager(pipeline);
    let copy = plan.clone();
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let (start, before_cpu) = (Instant::now(), processor_seconds());
    let after = run(&manager, copy);
    let wall = start.elapsed().as_secs_f64();
    let busy = processor_seconds().zip(before_cpu);
    let seconds = busy.map_or(wall, |(now, before)| now - before);
    let total = (models * nodes) as f64;
    let most = MOST.load(Ordering::Relaxed) - before;
    let left: usize = after.graphs.iter().map(|(_, g)| g.len()).sum();
    println!(
        "{models} models x {nodes} nodes, {pipeline}: {:.0} ns a node ({:.1} ms of the processor, \
         {:.1} ms in all), at most {:.0} bytes a node beside the plan, {left} nodes left",
        seconds * 1e9 / total,
        seconds * 1e3,
        wall * 1e3,
        most as f64 / total,
    );
    drop(black_box(after));
}

#[expect(clippy::print_stdout, reason = "a bench tells its figures")]
fn bench(criterion: &mut Criterion) {
    let ops = Arc::new(syncarp_ops::standard());
    let mut group = criterion.benchmark_group("passes");
    group.sample_size(10);
    for (models, nodes) in [(10, 1_000), (100, 1_000), (1_000, 1_000)] {
        let before = HELD.load(Ordering::Relaxed);
        let plan = blocks(&ops, models, nodes);
        let total = models * nodes;
        let held = (HELD.load(Ordering::Relaxed) - before) / total;
        println!("{models} models x {nodes} nodes: the plan holds {held} bytes a node");
        for pipeline in PIPELINES {
            figures(&plan, pipeline, models, nodes);
        }
        group.throughput(Throughput::Elements(total as u64));
        for pipeline in PIPELINES {
            let manager = manager(pipeline);
            group.bench_with_input(BenchmarkId::new(pipeline, total), &plan, |b, plan| {
                b.iter_batched(
                    || plan.clone(),
                    |plan| run(&manager, plan),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
