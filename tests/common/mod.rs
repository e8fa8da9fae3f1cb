//! Small models on small data, for several tests.

#![allow(dead_code)]

use std::sync::Arc;

use syncarp_data::{Array, Batching, Column, DataParts, DataStream, Dataset};
use syncarp_diag::Source;
use syncarp_engine::{Embedded, kernels};
use syncarp_evaluator::{Evaluator, EvaluatorRegistry, OptionValue, judge};
use syncarp_ir::{DType, parse};
use syncarp_logical::Submission;
use syncarp_pass::PassRegistry;
use syncarp_place::PolicyRegistry;
use syncarp_runtime::{DEFAULT_PIPELINE, Planner, Trial};

/// Two layers with dropout between.
pub const MLP: &str = r#"syncarp 1
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

/// A convolution, batch norm and a pool.
pub const CNN: &str = r#"syncarp 1
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

/// Cross entropy and accuracy, gradients clipped at a norm of 1.
pub fn evaluator(optimizer: &str, rate: f64, epochs: u64) -> Arc<Evaluator> {
    let registry = EvaluatorRegistry::standard();
    let lr = ("lr".to_owned(), OptionValue::Number(rate));
    Arc::new(Evaluator {
        loss: registry.loss("cross-entropy", &[]).unwrap(),
        metrics: vec![registry.metric("accuracy", &[]).unwrap()],
        optimizer: registry.optimizer(optimizer, &[lr]).unwrap(),
        schedule: registry.schedule("cosine", &[]).unwrap(),
        clip_norm: Some(1.0),
        epochs,
        seed: 3,
    })
}

/// Made-up images of ten classes.
pub fn stream() -> Arc<DataStream> {
    let rows = 320;
    let x: Vec<f32> = (0..rows * 64)
        .map(|i| ((i * 37) % 101) as f32 / 101.0)
        .collect();
    let y: Vec<i64> = (0..rows).map(|i| (i % 10) as i64).collect();
    let x = Column::new("x", vec![1, 8, 8], Array::F32(x));
    let y = Column::new("y", vec![], Array::I64(y));
    let data = Dataset::new(vec![x], vec![y]).unwrap();
    let parts = DataParts::new(data, None, None).unwrap();
    Arc::new(
        DataStream::from_parts(
            parts,
            Batching {
                batch_size: 32,
                ..Batching::default()
            },
        )
        .unwrap(),
    )
}

/// A model that is trained for two epochs at a rate of 0.01.
pub fn trial(text: &str, name: &str, optimizer: &str) -> Trial {
    trial_with(text, name, evaluator(optimizer, 0.01, 2))
}

/// A model with an evaluator of its own.
pub fn trial_with(text: &str, name: &str, evaluator: Arc<Evaluator>) -> Trial {
    let ops = Arc::new(syncarp_ops::standard());
    let mut plan = parse(&Source::new(name, text), &ops).unwrap_or_else(|e| panic!("{e}"));
    judge(&mut plan, &evaluator, (DType::I64, &[])).unwrap();
    let submission = Submission {
        name: name.into(),
        plan: Arc::new(plan),
        evaluator,
        data: "d".into(),
    };
    Trial {
        submission,
        data: stream(),
    }
}

/// All passes.
pub fn passes() -> Arc<PassRegistry> {
    let mut passes = PassRegistry::new();
    syncarp_pass_cse::register(&mut passes).unwrap();
    syncarp_pass_dce::register(&mut passes).unwrap();
    syncarp_pass_decompose::register(&mut passes).unwrap();
    syncarp_pass_dedup_input::register(&mut passes).unwrap();
    syncarp_pass_differentiate::register(&mut passes).unwrap();
    syncarp_pass_to_eval::register(&mut passes).unwrap();
    Arc::new(passes)
}

/// A planner with the default pipeline and policy.
pub fn planner() -> Planner {
    Planner {
        passes: passes(),
        pipeline: DEFAULT_PIPELINE.to_owned(),
        policy: PolicyRegistry::standard().get("pack").unwrap(),
        execute: None,
    }
}

/// The embedded engine.
pub fn engine() -> Embedded {
    Embedded::new(Arc::new(kernels::standard().unwrap()), passes())
}
