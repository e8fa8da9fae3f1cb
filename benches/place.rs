//! Planning as a whole: fusing, `dedup-input` and the policy `nni`, by the number of models and the
//! length of each. One group is one assembly over as many devices as there are models; with
//! evaluators that all differ, every model becomes an assembly of its own.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use syncarp_benches::chain;
use syncarp_ir::Verified;
use syncarp_logical::{Submission, evaluator_classes, fuse, split};
use syncarp_pass::{Context, Manager, PassRegistry};
use syncarp_place::{Device, Nni, Placement, Policy, Request, parse_devices};

const MODELS: [usize; 3] = [4, 16, 64];
const NODES: [usize; 3] = [100, 1_000, 10_000];

/// Whether the models are one group.
#[derive(Clone, Copy)]
enum Evaluators {
    Equal,
    Different,
}

fn submissions(models: usize, nodes: usize, evaluators: Evaluators) -> Vec<Submission> {
    let ops = Arc::new(syncarp_ops::standard());
    let chains = (0..models).map(|i| {
        let mut submission = chain(&ops, &format!("m{i}"), nodes);
        if let Evaluators::Different = evaluators {
            Arc::make_mut(&mut submission.evaluator).seed = i as u64;
        }
        submission
    });
    chains.collect()
}

fn manager() -> Manager {
    let mut registry = PassRegistry::new();
    syncarp_pass_dedup_input::register(&mut registry).expect("one pass");
    let mut manager = Manager::new(&registry, "dedup-input").expect("a pipeline");
    manager.set_verify(false);
    manager
}

fn devices(count: usize) -> Vec<Device> {
    let names: Vec<_> = (0..count).map(|i| format!("h0:{i}")).collect();
    parse_devices(&names.join(","), count).expect("a list of devices")
}

fn logical(manager: &Manager, submissions: &[Submission]) -> syncarp_ir::Plan {
    let mut plan = fuse(submissions).expect("models fuse");
    manager
        .run(&mut plan, &mut Context::bare(), &mut ())
        .expect("the pass runs");
    plan
}

fn plan(manager: &Manager, submissions: &[Submission], devices: &[Device]) -> Placement {
    let plan = logical(manager, submissions);
    let plan = Verified::new(plan).expect("the plan is sound");
    let request = Request {
        plan: &plan,
        devices,
        batch_sizes: &vec![32; submissions.len()],
        evaluators: &evaluator_classes(submissions),
    };
    let placement = Nni.place(&request).expect("models are placed");
    assert!(placement.leftover.is_empty(), "there is a device for each");
    placement
}

/// The least of some runs: what is left when nobody disturbs.
fn least<T>(mut run: impl FnMut() -> T) -> Duration {
    let mut timed = || {
        let start = Instant::now();
        let made = black_box(run());
        let taken = start.elapsed();
        drop(made);
        taken
    };
    (0..5).map(|_| timed()).min().expect("five runs")
}

/// Where the time goes, at one size.
#[expect(clippy::print_stdout, reason = "a bench tells its figures")]
fn shares(manager: &Manager) {
    let submissions = submissions(16, 1_000, Evaluators::Equal);
    let devices = devices(16);
    let plan = logical(manager, &submissions);
    let ids: Vec<_> = plan.model_ids().collect();
    let nodes: usize = plan.graphs.iter().map(|(_, g)| g.len()).sum();
    let rows = [
        (
            "fuse, dedup-input",
            least(|| logical(manager, &submissions)),
        ),
        ("project", least(|| split(&plan, &[&ids]))),
        ("verify", least(|| syncarp_ir::verify(&plan))),
        ("all", least(|| self::plan(manager, &submissions, &devices))),
    ];
    for (what, taken) in rows {
        let each = taken.as_secs_f64() * 1e9 / nodes as f64;
        println!("16 models x 1000 nodes, {what}: {taken:.2?}, {each:.0} ns a node");
    }
}

fn bench(criterion: &mut Criterion) {
    let manager = manager();
    shares(&manager);
    for (name, evaluators) in [
        ("nni, one assembly", Evaluators::Equal),
        ("nni, an assembly a model", Evaluators::Different),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for (models, nodes) in MODELS.iter().flat_map(|m| NODES.map(|n| (*m, n))) {
            let submissions = submissions(models, nodes, evaluators);
            let devices = devices(models);
            group.throughput(Throughput::Elements((models * nodes) as u64));
            let size = format!("{models} models x {nodes} nodes");
            group.bench_function(BenchmarkId::from_parameter(size), |b| {
                let run = |()| plan(&manager, &submissions, &devices);
                b.iter_batched(|| (), run, BatchSize::PerIteration);
            });
        }
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
