//! Folding: constants keep their bits, batch norm its numbers within a tolerance.

use std::collections::BTreeMap;

use syncarp_engine::{Tensor, evaluate, kernels};
use syncarp_ir::{EVAL, Plan, TensorData, print, verify};
use syncarp_pass::{Context, Manager};
use syncarp_standard::Registries;

use crate::plan;

fn run(pipeline: &str, plan: &mut Plan) -> Vec<(&'static str, u64)> {
    let registries = Registries::standard().unwrap();
    let mut manager = Manager::new(&registries.passes, pipeline).unwrap();
    manager.set_verify(true);
    let has_kernel = |op: &str| registries.has_kernel(op);
    let mut cx = Context::new(&[], &has_kernel).with_execute(&*registries.kernels);
    let reports = manager.run(plan, &mut cx, &mut ()).unwrap();
    assert_eq!(verify(plan), []);
    reports.into_iter().flat_map(|r| r.statistics).collect()
}

fn numbers(plan: &Plan, dims: &[usize]) -> Vec<f64> {
    let x = (0..dims.iter().product()).map(|i| ((i * 7919) % 101) as f64 / 50.0 - 1.0);
    let inputs = BTreeMap::from([("x".to_owned(), Tensor::float(dims, x.collect()))]);
    let states = |state: syncarp_ir::State| {
        let len = plan.state(state).ty.elements().unwrap() as usize;
        let at = |i: usize| 0.5 + ((i * 31 + state.index() * 17) % 23) as f64 / 23.0;
        Some(TensorData::Float((0..len).map(at).collect()))
    };
    let kernels = kernels::standard().unwrap();
    let results = evaluate::<f32>(plan, EVAL, &inputs, &states, &kernels).unwrap();
    match &results[0].1.data {
        TensorData::Float(values) => values.clone(),
        TensorData::Int(_) => panic!("integers"),
    }
}

fn graph(plan: &Plan) -> String {
    let text = print(plan);
    let (_, graph) = text.split_once("graph \"eval\" {\n").unwrap();
    graph.to_owned()
}

#[test]
fn constants_are_evaluated_as_the_engine_does() {
    let text = r#"syncarp 1
model m0 "a" {}
graph "eval" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 3]} @m0
  a = constant {dtype=f32, value=[0.1, 0.2, 0.7], dims=dims[3]} @m0 "c"
  b = constant {dtype=f32, value=3.0} @m0 "c"
  q = div a, b @m0 "c"
  e = exp q @m0 "c"
  two = constant {dtype=i64, value=2, dims=dims[2]} @m0 "c"
  more = add two, two @m0 "c"
  floats = cast more {to=f32} @m0 "c"
  s = sum floats @m0 "c"
  y = mul x, e @m0 "y"
  z = add y, s @m0 "y"
  result m0 "y" = z
}
"#;
    let mut folded = plan(text);
    let before = numbers(&folded, &[2, 3]);
    assert_eq!(run("fold-constants,dce", &mut folded)[0], ("folded", 2));
    assert_eq!(before, numbers(&folded, &[2, 3]), "to the bit");
    let text = graph(&folded);
    assert_eq!(text.matches("constant").count(), 2, "{text}");
    assert!(
        text.contains("{dtype=f32, value=8.0} : f32[] @m0 \"c\""),
        "{text}"
    );
    assert!(!text.contains("exp"), "{text}");
    assert!(
        run("fold-constants", &mut folded).is_empty(),
        "a second time"
    );
}

#[test]
fn what_is_random_large_or_trained_is_not_folded() {
    let text = r#"syncarp 1
model m0 "a" {
  "w" = s0 : f32[3] trainable init(constant(1.0), stream(1, "w", 0))
}
graph "eval" {
  w = state {of=s0} @m0
  b = constant {dtype=f32, value=2.0, dims=dims[3]} @m0
  y = mul w, b @m0
  one = constant {dtype=f32, value=1.0} @m0
  large = expand one {dims=dims[100, 100]} @m0
  total = sum large {axes=[0]} @m0
  p = constant {dtype=f32, value=0.5} @m0
  step = constant {dtype=i64, value=1} @m0
  kept, mask = dropout b, p, step {stream=stream(1, "d", 0)} @m0
  result m0 "y" = y
  result m0 "large" = total
  result m0 "kept" = kept
}
"#;
    let mut plan = plan(text);
    assert!(run("fold-constants", &mut plan).is_empty());
    assert_eq!(
        run("fold-constants{limit=10000}", &mut plan),
        [("folded", 1)]
    );
}

#[test]
fn batch_norm_goes_into_the_layer_before_it() {
    let text = r#"syncarp 1
model m0 "a" {
  "w" = s0 : f32[4, 2, 3, 3] trainable init(constant(1.0), stream(1, "w", 0))
  "g" = s1 : f32[4] trainable init(constant(1.0), stream(1, "g", 0))
  "b" = s2 : f32[4] trainable init(constant(1.0), stream(1, "b", 0))
  "m" = s3 : f32[4] buffer init(constant(1.0), stream(1, "m", 0))
  "v" = s4 : f32[4] buffer init(constant(1.0), stream(1, "v", 0))
  "fw" = s5 : f32[4, 4] trainable init(constant(1.0), stream(1, "fw", 0))
}
graph "eval" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 2, 5, 5]} @m0
  w = state {of=s0} @m0
  g = state {of=s1} @m0
  b = state {of=s2} @m0
  m = state {of=s3} @m0
  v = state {of=s4} @m0
  e = constant {dtype=f32, value=0.00001} @m0
  c = conv2d x, w {padding=[1, 1]} @m0 "conv"
  y = batch_norm_eval c, g, b, m, v, e @m0 "bn"
  p = mean y {axes=[2, 3]} @m0 "pool"
  fw = state {of=s5} @m0
  f = linear p, fw, b @m0 "fc"
  z = batch_norm_eval f, g, b, m, v, e @m0 "bn2"
  result m0 "z" = z
  result m0 "c" = p
}
"#;
    let mut folded = plan(text);
    let before = numbers(&folded, &[2, 2, 5, 5]);
    let statistics = run("fold-batch-norm,decompose,dce", &mut folded);
    assert_eq!(statistics[0], ("folded", 2));
    assert!(!graph(&folded).contains("batch_norm"), "{}", graph(&folded));
    let after = numbers(&folded, &[2, 2, 5, 5]);
    let largest = before.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    for (a, b) in before.iter().zip(&after) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} and {b}");
    }
    assert_ne!(before, after, "it is no pass that keeps bits");
    let names: Vec<_> = folded.models[0].states.iter().map(|(p, _)| &**p).collect();
    assert_eq!(names, ["w", "g", "b", "m", "v", "fw"], "checkpoints stay");
}

#[test]
fn batch_norm_stays_where_something_else_reads_the_layer() {
    let text = r#"syncarp 1
model m0 "a" {
  "w" = s0 : f32[4, 3] trainable init(constant(1.0), stream(1, "w", 0))
  "g" = s1 : f32[4] trainable init(constant(1.0), stream(1, "g", 0))
}
graph "eval" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 3]} @m0
  w = state {of=s0} @m0
  g = state {of=s1} @m0
  e = constant {dtype=f32, value=0.00001} @m0
  c = linear x, w @m0
  y = batch_norm_eval c, g, g, g, g, e @m0
  z = add y, c @m0
  result m0 "z" = z
}
"#;
    let mut plan = plan(text);
    assert!(run("fold-batch-norm", &mut plan).is_empty());
}
