//! A steady-state training step allocates nothing: counted by an allocator of our own, from the
//! second step of an epoch to its last, on one thread and on two.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use syncarp_data::{Array, Batching, Column, DataParts, DataStream, Dataset};
use syncarp_diag::Source;
use syncarp_engine::{Embedded, Engine, Event, Job, Sink, kernels};
use syncarp_evaluator::{Evaluator, EvaluatorRegistry, OptionValue, judge};
use syncarp_ir::{DType, parse};
use syncarp_logical::Submission;
use syncarp_pass::PassRegistry;
use syncarp_place::{PolicyRegistry, parse_devices};
use syncarp_runtime::{DEFAULT_PIPELINE, Planner, Trial};

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

const MLP: &str = r#"syncarp 1
model m0 "mlp" {
  "1.weight" = s0 : f32[32, 64] trainable init(uniform(-0.125, 0.125), stream(_, "1.weight", 0))
  "1.bias" = s1 : f32[32] trainable init(uniform(-0.125, 0.125), stream(_, "1.bias", 0))
  "2.weight" = s2 : f32[10, 32] trainable init(uniform(-0.17, 0.17), stream(_, "2.weight", 0))
}
graph "train" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 1, 8, 8]}
  flat = reshape x {dims=dims[n, 64]}
  w = state {of=s0}
  b = state {of=s1}
  h = linear flat, w, b
  a = relu h
  step = input {model=m0, name="step", dtype=i64, dims=dims[]}
  p = constant {dtype=f32, value=0.25}
  d, mask = dropout a, p, step {stream=stream(_, "drop", 0)}
  w2 = state {of=s2}
  y = linear d, w2
  result m0 "output" = y
}
"#;

const CNN: &str = r#"syncarp 1
model m0 "cnn" {
  "1.weight" = s0 : f32[8, 1, 3, 3] trainable init(uniform(-0.33, 0.33), stream(_, "1.weight", 0))
  "1.bias" = s1 : f32[8] trainable init(uniform(-0.33, 0.33), stream(_, "1.bias", 0))
  "2.weight" = s2 : f32[8] trainable init(constant(1), stream(_, "2.weight", 0))
  "2.bias" = s3 : f32[8] trainable init(constant(0), stream(_, "2.bias", 0))
  "2.running_mean" = s4 : f32[8] buffer init(constant(0), stream(_, "2.running_mean", 0))
  "2.running_var" = s5 : f32[8] buffer init(constant(1), stream(_, "2.running_var", 0))
  "4.weight" = s6 : f32[10, 128] trainable init(uniform(-0.08, 0.08), stream(_, "4.weight", 0))
}
graph "train" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 1, 8, 8]}
  w = state {of=s0}
  b = state {of=s1}
  c = conv2d x, w, b {stride=[1, 1], padding=[1, 1], dilation=[1, 1], groups=1}
  g = state {of=s2}
  o = state {of=s3}
  m = state {of=s4}
  v = state {of=s5}
  eps = constant {dtype=f32, value=0.00001}
  momentum = constant {dtype=f32, value=0.1}
  bn, mean, var, bm, bi = batch_norm_train c, g, o, m, v, eps, momentum
  a = relu bn
  p, at = max_pool2d a {kernel=[2, 2], stride=[2, 2], padding=[0, 0], dilation=[1, 1], ceil_mode=false}
  flat = reshape p {dims=dims[n, 128]}
  w4 = state {of=s6}
  y = linear flat, w4
  result m0 "output" = y
  update s4 = mean
  update s5 = var
}
"#;

fn evaluator(optimizer: &str) -> Arc<Evaluator> {
    let registry = EvaluatorRegistry::standard();
    let lr = ("lr".to_owned(), OptionValue::Number(0.01));
    Arc::new(Evaluator {
        loss: registry.loss("cross-entropy", &[]).unwrap(),
        metrics: vec![registry.metric("accuracy", &[]).unwrap()],
        optimizer: registry.optimizer(optimizer, &[lr]).unwrap(),
        schedule: registry.schedule("cosine", &[]).unwrap(),
        clip_norm: Some(1.0),
        epochs: 2,
        seed: 3,
    })
}

fn stream() -> Arc<DataStream> {
    let rows = 320;
    let x: Vec<f32> = (0..rows * 64).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
    let y: Vec<i64> = (0..rows).map(|i| (i % 10) as i64).collect();
    let x = Column::new("x", vec![1, 8, 8], Array::F32(x)).unwrap();
    let y = Column::new("y", vec![], Array::I64(y)).unwrap();
    let data = Dataset::new(vec![x], vec![y]).unwrap();
    let parts = DataParts::new(data, None, None).unwrap();
    Arc::new(DataStream::from_parts(parts, Batching { batch_size: 32, ..Batching::default() }).unwrap())
}

fn trial(text: &str, name: &str, optimizer: &str) -> Trial {
    let ops = Arc::new(syncarp_ops::standard());
    let mut plan = parse(&Source::new(name, text), &ops).unwrap_or_else(|e| panic!("{e}"));
    let evaluator = evaluator(optimizer);
    judge(&mut plan, &evaluator, (DType::I64, &[])).unwrap();
    let submission =
        Submission { name: name.into(), plan: Arc::new(plan), evaluator, data: "d".into() };
    Trial { submission, data: stream() }
}

/// Trains models merged and counts what is allocated between the first step's loss and the last's
/// of the first epoch.
fn count(devices: &str, cores: usize) -> (u64, u64) {
    let trials = [
        trial(MLP, "mlp", "adam"),
        trial(CNN, "cnn", "sgd"),
        trial(MLP, "mlp2", "sgd"),
        trial(CNN, "cnn2", "adamw"),
    ];
    let mut passes = PassRegistry::new();
    syncarp_pass_cse::register(&mut passes).unwrap();
    syncarp_pass_dce::register(&mut passes).unwrap();
    syncarp_pass_decompose::register(&mut passes).unwrap();
    syncarp_pass_dedup_input::register(&mut passes).unwrap();
    syncarp_pass_differentiate::register(&mut passes).unwrap();
    syncarp_pass_to_eval::register(&mut passes).unwrap();
    let passes = Arc::new(passes);
    let planner = Planner {
        passes: passes.clone(),
        pipeline: DEFAULT_PIPELINE.to_owned(),
        policy: PolicyRegistry::standard().get("pack").unwrap(),
    };
    let devices = parse_devices(devices, cores).unwrap();
    let refs: Vec<&Trial> = trials.iter().collect();
    let planned = planner.plan(&refs, &devices).unwrap();
    let mut job: Job = planner.job(0, &planned, 0, &refs);
    job.step_losses = true;
    job.data = stream();
    let (done, ended) = sync_channel(1);
    // (allocations at the second step's last loss, steps seen, allocations at the latest loss).
    let seen = Arc::new(Mutex::new((0u64, 0u64, 0u64)));
    let (told, models) = (seen.clone(), trials.len() - 1);
    let sink: Sink = Arc::new(move |_, event| match event {
        Event::Loss { model, step, loss } if model == models && step < 10 => {
            assert!(loss.is_finite());
            let now = ALLOCATIONS.load(Ordering::Relaxed);
            let mut seen = told.lock().unwrap();
            if step == 1 {
                seen.0 = now;
            }
            seen.1 += 1;
            seen.2 = now;
        }
        Event::AssemblyFailed { cause } => panic!("{cause}"),
        Event::AssemblyFinished => done.send(()).unwrap(),
        _ => {}
    });
    let mut engine = Embedded::new(Arc::new(kernels::standard().unwrap()), passes);
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
        assert_eq!(steps, 10, "{devices} {cores}");
        assert_eq!(allocations, 0, "{devices} {cores}");
    }
}
