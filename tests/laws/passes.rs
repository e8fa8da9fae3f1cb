//! Laws of passes: interfaces and numbers stay, a second run changes nothing, texts are the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use syncarp_engine::{Tensor, evaluate, kernels};
use syncarp_ir::{Plan, TRAIN, TensorData, print, verify};
use syncarp_pass::{Context, Manager};

use crate::generate::families;
use crate::{pass_registry, plan};

fn run(pipeline: &str, plan: &mut Plan) -> bool {
    let mut manager = Manager::new(&pass_registry(), pipeline).unwrap();
    manager.set_verify(true);
    let reports = manager.run(plan, &mut Context::bare(), &mut ()).unwrap();
    reports.iter().any(|r| r.changed)
}

/// Every output of a plan's graph that trains, as bits.
fn outputs(plan: &Plan) -> Vec<Vec<u64>> {
    let x = (0..6).map(|i| f64::from(i) / 3.0 - 0.9).collect();
    let inputs = BTreeMap::from([("x".to_owned(), Tensor::float(&[2, 3], x))]);
    let states = |state: syncarp_ir::State| {
        let base = 0.3 * state.index() as f64;
        Some(TensorData::Float(vec![0.1 + base, -0.7, 0.2 - base]))
    };
    let kernels = kernels::standard().unwrap();
    let results = evaluate::<f32>(plan, TRAIN, &inputs, &states, &kernels).unwrap();
    let bits = |t: Tensor| match t.data {
        TensorData::Float(v) => v.into_iter().map(f64::to_bits).collect(),
        TensorData::Int(v) => v.into_iter().map(|x| x as u64).collect(),
    };
    results.into_iter().map(|(_, t)| bits(t)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn passes_keep_interfaces_and_numbers(family in families()) {
        let before = family.plan();
        let pipelines = [
            "dedup-input",
            "canonicalize",
            "cse",
            "dce",
            "dedup-input,canonicalize,cse,dce",
            "cse,dedup-input,cse",
        ];
        for pipeline in pipelines {
            let mut after = before.clone();
            run(pipeline, &mut after);
            prop_assert_eq!(before.interface(), after.interface());
            prop_assert!(verify(&after).is_empty());
            prop_assert_eq!(outputs(&before), outputs(&after), "{}", pipeline);
        }
    }

    #[test]
    fn a_second_run_changes_nothing(family in families()) {
        let mut plan = family.plan();
        run("dedup-input,cse,dce", &mut plan);
        let text = print(&plan);
        prop_assert!(!run("dedup-input,cse,dce", &mut plan));
        prop_assert_eq!(print(&plan), text);
    }

    #[test]
    fn a_model_taken_out_computes_what_it_did(family in families()) {
        let mut merged = family.plan();
        run("dedup-input,cse,dce", &mut merged);
        let all = outputs(&merged);
        for (index, numbers) in all.iter().enumerate() {
            let model = syncarp_ir::Model::new(index);
            let mut alone = syncarp_logical::project(&merged, &[model]);
            prop_assert!(verify(&alone).is_empty());
            // States are numbered anew; what the test feeds them goes by number.
            let states: Vec<_> = merged.model(model).states.iter().map(|(_, s)| *s).collect();
            let graph = alone.take_graph(TRAIN).unwrap();
            alone.set_graph(TRAIN, graph);
            let x = (0..6).map(|i| f64::from(i) / 3.0 - 0.9).collect();
            let inputs = BTreeMap::from([("x".to_owned(), Tensor::float(&[2, 3], x))]);
            let given = |state: syncarp_ir::State| {
                let base = 0.3 * states[state.index()].index() as f64;
                Some(TensorData::Float(vec![0.1 + base, -0.7, 0.2 - base]))
            };
            let kernels = kernels::standard().unwrap();
            let results = evaluate::<f32>(&alone, TRAIN, &inputs, &given, &kernels).unwrap();
            let TensorData::Float(values) = &results[0].1.data else { unreachable!() };
            let bits: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
            prop_assert_eq!(&bits, numbers);
        }
    }
}

const HEADS: &str = r#"syncarp 1
model m0 "a" data d0 {
  "b.w" = s0 : f32[4, 3] frozen content("aa")
  "h.w" = s1 : f32[2, 4] trainable init(uniform(-1.0, 1.0), stream(1, "h.w", 0))
}
model m1 "b" data d0 {
  "b.w" = s0
  "h.w" = s2 : f32[2, 4] trainable init(uniform(-1.0, 1.0), stream(1, "h.w", 0))
}
graph "train" {
  x0 = input {model=m0, name="x", dtype=f32, dims=dims[n, 3]} @m0 "x"
  b0 = state {of=s0} @m0 "b.w"
  f0 = linear x0, b0 @m0 "b"
  w0 = state {of=s1} @m0 "h.w"
  y0 = linear f0, w0 @m0 "h"
  x1 = input {model=m1, name="x", dtype=f32, dims=dims[n, 3]} @m1 "x"
  b1 = state {of=s0} @m1 "b.w"
  f1 = linear x1, b1 @m1 "b"
  w1 = state {of=s2} @m1 "h.w"
  y1 = linear f1, w1 @m1 "h"
  result m0 "y" = y0
  result m1 "y" = y1
}
"#;

#[test]
fn a_frozen_backbone_is_computed_once_and_heads_stay_apart() {
    let mut plan = plan(HEADS);
    run("dedup-input,cse,dce", &mut plan);
    let text = print(&plan);
    let graph = text.split_once("graph").unwrap().1;
    assert_eq!(
        graph,
        r#" "train" {
  v0 = input {dims=dims[n, 3], dtype=f32, model=m0, name="x"} : f32[n, 3] @m0 "x", m1 "x"
  v1 = state {of=s0} : f32[4, 3] @m0 "b.w", m1 "b.w"
  v2 = linear v0, v1 : f32[n, 4] @m0 "b", m1 "b"
  v3 = state {of=s1} : f32[2, 4] @m0 "h.w"
  v4 = linear v2, v3 : f32[n, 2] @m0 "h"
  v5 = state {of=s2} : f32[2, 4] @m1 "h.w"
  v6 = linear v2, v5 : f32[n, 2] @m1 "h"
  result m0 "y" = v4
  result m1 "y" = v6
}
"#
    );
}

#[test]
fn models_with_other_data_share_no_input() {
    let mut plan = plan(&HEADS.replace("model m1 \"b\" data d0", "model m1 \"b\" data d1"));
    run("dedup-input,cse,dce", &mut plan);
    let graph = plan.graph(TRAIN).unwrap();
    let inputs = graph
        .nodes()
        .filter(|n| graph.op_name(*n) == "input")
        .count();
    assert_eq!(inputs, 2);
}
