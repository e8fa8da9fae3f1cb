//! Fusing and `dedup-input`: nanoseconds and bytes a node, at 1e4, 1e5 and 1e6 nodes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use syncarp_benches::chain;
use syncarp_logical::{Submission, fuse};
use syncarp_pass::{Context, Manager, PassRegistry};

/// Counts bytes that are held.
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

fn submissions(models: usize, nodes: usize) -> Vec<Submission> {
    let ops = Arc::new(syncarp_ops::standard());
    (0..models)
        .map(|i| chain(&ops, &format!("m{i}"), nodes))
        .collect()
}

fn manager() -> Manager {
    let mut registry = PassRegistry::new();
    syncarp_pass_dedup_input::register(&mut registry).expect("one pass");
    let mut manager = Manager::new(&registry, "dedup-input").expect("a pipeline");
    manager.set_verify(false);
    manager
}

fn run(manager: &Manager, submissions: &[Submission]) -> syncarp_ir::Plan {
    let mut plan = fuse(submissions).expect("models fuse");
    manager
        .run(&mut plan, &mut Context::bare(), &mut ())
        .expect("the pass runs");
    plan
}

#[expect(clippy::print_stdout, reason = "a bench tells its figures")]
fn bench(criterion: &mut Criterion) {
    let manager = manager();
    let mut group = criterion.benchmark_group("fuse+dedup-input");
    group.sample_size(10);
    for (models, nodes) in [(16, 1_000), (10, 1_000), (100, 1_000), (1_000, 1_000)] {
        let submissions = submissions(models, nodes);
        let total = models * nodes;
        let before = HELD.load(Ordering::Relaxed);
        let start = Instant::now();
        let plan = run(&manager, &submissions);
        let seconds = start.elapsed().as_secs_f64();
        let held = HELD.load(Ordering::Relaxed) - before;
        println!(
            "{models} models x {nodes} nodes: {:.0} ns and {} bytes a node ({:.2} ms)",
            seconds * 1e9 / total as f64,
            held / total,
            seconds * 1e3
        );
        drop(black_box(plan));
        group.throughput(Throughput::Elements(total as u64));
        group.bench_with_input(BenchmarkId::from_parameter(total), &submissions, |b, s| {
            b.iter_batched(|| (), |()| run(&manager, s), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
