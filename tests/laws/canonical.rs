//! `canonicalize` keeps every number and every gradient, to the bit, on graphs that are full of what
//! it rewrites.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use syncarp_engine::{Tensor, evaluate, kernels};
use syncarp_ir::{OutputKey, Plan, Rewriter, TRAIN, TensorData, verify};
use syncarp_pass::{Context, Manager};

use crate::{pass_registry, plan};

/// Ways to make a value of f32[2, 3] from two earlier ones, A and B, line by line; `%` begins every
/// name that a line gives. The last line's value, and all that are called `%v...`, can be used again.
const GADGETS: &[&str] = &[
    "%v = copy A",
    "%v = copy A\n%w = copy %v",
    "%v = neg A\n%v2 = neg %v",
    "%v = neg A\n%w = add B, %v",
    "%v = neg A\n%w = sub B, %v",
    "%f = flatten A\n%v = reshape %f {dims=dims[2, 3]}",
    "%f = flatten A {start=0, end=-1}\n%g = unsqueeze %f {axes=[0]}\n%v = reshape %g {dims=dims[2, 3]}",
    "%f = reshape A {dims=dims[3, 2]}\n%v = reshape %f {dims=dims[2, 3]}\n%w = reshape %f {dims=dims[2, 3]}",
    "%f = unsqueeze A {axes=[-1]}\n%v = squeeze %f {axes=[2]}",
    "%f = transpose A {permutation=[1, 0]}\n%v = transpose %f {permutation=[1, 0]}",
    "%f = unsqueeze A {axes=[1]}\n%g = transpose %f {permutation=[1, 0, 2]}\n%v = reshape %g {dims=dims[2, 3]}",
    "%c = constant {dtype=f32, value=1}\n%v = mul %c, A",
    "%c = constant {dtype=f32, dims=dims[3], value=[1, 1, 1]}\n%v = div A, %c",
    "%c = constant {dtype=f32, value=-1.0}\n%v = mul A, %c",
    "%c = constant {dtype=f32, value=-0.0}\n%v = add %c, A",
    "%c = constant {dtype=f32, value=0.0}\n%v = add A, %c",
    "%c = constant {dtype=f32, value=0.0}\n%v = sub A, %c",
    "%c = constant {dtype=f32, value=0.3}\n%v = add %c, A",
    "%v = add A, B",
    "%v = mul A, B",
    "%v = sub A, B",
    "%v = maximum A, B",
    "%v = relu A\n%v2 = relu %v",
    "%v = relu6 A",
    "%l = constant {dtype=f32, value=-1.0}\n%h = constant {dtype=f32, value=1.0}\n%v = hardtanh A, %l, %h",
    "%v = abs A\n%v2 = abs %v",
    "%v = tanh A",
    "%v = sin A",
    "%v = slice A {axis=-1, start=-3, end=3, step=1}",
    "%v = concat A {axis=-2}",
    "%c = constant {dtype=f32, value=4.0}\n%v = pad A, %c {low=[0, 0], high=[0, 0]}",
    "%v = expand A {dims=dims[2, 3]}",
    "%f = mean A {axes=[-2], keep=false}\n%g = expand %f {dims=dims[1, 3]}\n%v = expand %g {dims=dims[2, 3]}",
    "%f = mean A {axes=[1, 0], keep=true}\n%v = mul B, %f",
    "%v = cast A {to=f32}",
    "%f = cast A {to=f64}\n%v = cast %f {to=f32}",
    "%p = constant {dtype=f32, value=0.0}\n%t = constant {dtype=i64, value=1}\n%v, %m = dropout A, %p, %t {stream=stream(1, \"d\", 0)}\n%w = mul %v, %m",
    "%f = matmul A, B {transpose_a=false, transpose_b=true}\n%v = matmul %f, A",
    "%f = unsqueeze A {axes=[0, 1]}\n%g = avg_pool2d %f {kernel=[1, 1], stride=[1, 1], padding=[0, 0]}\n%v = squeeze %g {axes=[0, 1]}",
    "%f = unsqueeze A {axes=[0, 1]}\n%g = avg_pool2d %f {kernel=[1, 1], count_include_pad=true}\n%v = reshape %g {dims=dims[2, 3]}",
];

/// A training graph: gadgets over what was made before them, and a loss of the last value.
fn graph(steps: &[(usize, usize, usize)]) -> String {
    let mut text = String::from(
        "syncarp 1\nmodel m0 \"a\" data d0 {\n  \
         \"w\" = s0 : f32[3] trainable init(constant(0.5), stream(1, \"w\", 0))\n  \
         \"u\" = s1 : f32[2, 3] trainable init(constant(0.5), stream(1, \"u\", 0))\n}\n\
         graph \"train\" {\n  x = input {model=m0, name=\"x\", dtype=f32, dims=dims[2, 3]} @m0\n  \
         w = state {of=s0} @m0\n  u = state {of=s1} @m0\n  start = expand w {dims=dims[2, 3]} @m0\n",
    );
    let mut values: Vec<String> = ["x", "u", "start"].map(str::to_owned).into();
    for (step, (gadget, a, b)) in steps.iter().enumerate() {
        // Mostly the newest, so that chains come about.
        let pick = |at: usize| values[values.len() - 1 - at % values.len().min(4)].clone();
        let (a, b) = (pick(*a), pick(*b));
        let lines: Vec<&str> = GADGETS[gadget % GADGETS.len()].lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let line = line.replace('%', &format!("t{step}_"));
            let words: Vec<String> = line
                .split(' ')
                .map(|word| match word.trim_end_matches(',') {
                    "A" => word.replace('A', &a),
                    "B" => word.replace('B', &b),
                    _ => word.to_owned(),
                })
                .collect();
            let _ = writeln!(text, "  {} @m0 \"step{step}\"", words.join(" "));
            if at + 1 == lines.len() || lines[at].starts_with("%v") {
                values.push(words[0].trim_end_matches(',').to_owned());
            }
        }
    }
    let last = values.last().unwrap();
    let _ = write!(
        text,
        "  l = sum {last} @m0\n  result m0 \"y\" = {last}\n  loss m0 = l\n}}\n"
    );
    text
}

fn run(pipeline: &str, plan: &mut Plan) {
    let mut manager = Manager::new(&pass_registry(), pipeline).unwrap();
    manager.set_verify(true);
    let kernels = kernels::standard().unwrap();
    let has = |op: &str| ["input", "state"].contains(&op) || kernels.has(op);
    let mut cx = Context::new(&[], &has);
    manager.run(plan, &mut cx, &mut ()).unwrap();
}

/// The plan with the gradient of every trainable state as an output beside the others.
fn with_gradients(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    run("decompose", &mut plan);
    let graph = plan.graph(TRAIN).unwrap();
    let live = graph.live();
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes().filter(|n| live[n.index()]) {
        rw.copy(node);
    }
    rw.copy_outputs();
    for (state, gradient) in syncarp_pass_differentiate::backward(&mut rw, &live, &plan).unwrap() {
        rw.output(OutputKey::Update(state), gradient);
    }
    let graph = rw.finish();
    plan.set_graph(TRAIN, graph);
    run("decompose", &mut plan);
    assert!(verify(&plan).is_empty());
    plan
}

/// Every output as bits; a NaN is a NaN.
fn outputs(plan: &Plan) -> Vec<(OutputKey, Vec<u32>)> {
    let x = vec![0.7, -0.0, 1.5, -2.25, 0.1, 7.0];
    let inputs = BTreeMap::from([("x".to_owned(), Tensor::float(&[2, 3], x))]);
    let states = |state: syncarp_ir::State| {
        Some(TensorData::Float(match state.index() {
            0 => vec![0.1, -0.7, 0.0],
            _ => vec![0.3, 1.1, -0.2, -0.0, 0.9, -1.3],
        }))
    };
    let kernels = kernels::standard().unwrap();
    let results = evaluate::<f32>(plan, TRAIN, &inputs, &states, &kernels).unwrap();
    let bits = |v: f64| {
        let v = v as f32;
        if v.is_nan() { f32::NAN } else { v }.to_bits()
    };
    let numbers = |t: Tensor| match t.data {
        TensorData::Float(v) => v.into_iter().map(bits).collect(),
        TensorData::Int(_) => unreachable!("all outputs are floats"),
    };
    results
        .into_iter()
        .map(|(key, t)| (key, numbers(t)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn numbers_and_gradients_keep_their_bits(
        steps in prop::collection::vec((any::<usize>(), any::<usize>(), any::<usize>()), 1..14)
    ) {
        let text = graph(&steps);
        let before = plan(&text);
        let numbers = outputs(&with_gradients(&before));
        for pipeline in ["canonicalize", "canonicalize,cse,dce", "cse,canonicalize,cse"] {
            let mut after = before.clone();
            run(pipeline, &mut after);
            prop_assert_eq!(before.interface(), after.interface());
            let found = outputs(&with_gradients(&after));
            prop_assert_eq!(&numbers, &found, "{}: {}\n{}", pipeline, text, syncarp_ir::print(&after));
        }
        // Where every sum is written down, everything goes.
        let mut written = with_gradients(&before);
        let graph = written.take_graph(TRAIN).unwrap();
        written.set_graph("step", graph);
        run("canonicalize,cse,dce", &mut written);
        let graph = written.take_graph("step").unwrap();
        written.set_graph(TRAIN, graph);
        prop_assert_eq!(&numbers, &outputs(&written), "step: {}", text);
    }
}

#[test]
fn every_gadget_types_and_most_are_rewritten() {
    let mut rewritten = 0;
    for gadget in 0..GADGETS.len() {
        let mut after = plan(&graph(&[(gadget, 2, 2)]));
        let before = syncarp_ir::print(&after);
        outputs(&with_gradients(&after));
        run("canonicalize", &mut after);
        rewritten += usize::from(syncarp_ir::print(&after) != before);
    }
    assert!(
        rewritten * 3 > GADGETS.len() * 2,
        "{rewritten} of {}",
        GADGETS.len()
    );
}
