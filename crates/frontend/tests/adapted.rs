//! Files that are cut, and low-rank adapters.

mod common;

use std::fs;

use common::{graph, op_names, ops, output, states};
use syncarp_diag::Source;
use syncarp_frontend::{LayerRegistry, lower_model};
use syncarp_ir::{DType, Plan, TRAIN, print, verify};
use syncarp_sweep::Sweep;

/// A convolution with batch norm, pooling and a classifier, as an importer gives it.
const NET: &str = r#"syncarp 1
model m0 "net" {
  "conv.weight" = s0 : f32[4, 1, 3, 3] trainable init(constant(0.1), stream(_, "conv.weight", 0))
  "bn.weight" = s1 : f32[4] trainable init(constant(1.0), stream(_, "bn.weight", 0))
  "bn.bias" = s2 : f32[4] trainable init(constant(0.0), stream(_, "bn.bias", 0))
  "bn.running_mean" = s3 : f32[4] buffer init(constant(0.0), stream(_, "bn.running_mean", 0))
  "bn.running_var" = s4 : f32[4] buffer init(constant(1.0), stream(_, "bn.running_var", 0))
  "bn.num_batches_tracked" = s5 : i64[] buffer init(constant(0.0), stream(_, "bn.num_batches_tracked", 0))
  "late.running_mean" = s6 : f32[4] buffer init(constant(0.0), stream(_, "late.running_mean", 0))
  "fc.weight" = s7 : f32[10, 4] trainable init(constant(0.1), stream(_, "fc.weight", 0))
  "fc.bias" = s8 : f32[10] trainable init(constant(0.1), stream(_, "fc.bias", 0))
  "fc.unread" = s9 : f32[1] frozen init(constant(0.1), stream(_, "fc.unread", 0))
}
graph "train" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 1, 8, 8]} @m0
  w = state {of=s0} @m0 "conv"
  c = conv2d x, w {padding=[1, 1]} @m0 "conv"
  g = state {of=s1} @m0 "bn"
  b = state {of=s2} @m0 "bn"
  rm = state {of=s3} @m0 "bn"
  rv = state {of=s4} @m0 "bn"
  e = constant {dtype=f32, value=0.00001} @m0 "bn"
  mo = constant {dtype=f32, value=0.1} @m0 "bn"
  y, nm, nv, bm, bs = batch_norm_train c, g, b, rm, rv, e, mo @m0 "bn"
  count = state {of=s5} @m0 "bn"
  one = constant {dtype=i64, value=1} @m0 "bn"
  counted = add count, one @m0 "bn"
  pooled = mean y {axes=[2, 3], keep=false} @m0 "pool"
  late = state {of=s6} @m0 "late"
  shifted = add late, late @m0 "late"
  fw = state {of=s7} @m0 "fc"
  fb = state {of=s8} @m0 "fc"
  logits = linear pooled, fw, fb @m0 "fc"
  result m0 "output" = logits
  update s3 = nm
  update s4 = nv
  update s5 = counted
  update s6 = shifted
}
"#;

fn lower(block: &str) -> Result<Plan, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("net.syn"), NET).unwrap();
    let head = "evaluator = { loss = \"mse\", optimizer = \"sgd\", epochs = 1 }";
    let source = Source::new("sweep.toml", format!("{head}\n[[model]]\n{block}\n"));
    let sweep = Sweep::parse(source, folder.path()).map_err(|error| error.to_string())?;
    let inputs = [("x".to_owned(), DType::F32, vec![1, 8, 8])];
    let (spec, layers) = (&sweep.models[0], LayerRegistry::standard());
    let plan = lower_model(spec, &sweep.source, folder.path(), &ops(), &layers, &inputs);
    plan.map_err(|error| error.to_string())
}

fn sound(block: &str) -> Plan {
    let plan = lower(block).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(verify(&plan), [], "{}", print(&plan));
    plan
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.models[0]
        .states
        .iter()
        .map(|(path, _)| &**path)
        .collect()
}

#[test]
fn a_file_ends_where_it_is_cut_with_the_states_of_what_is_left() {
    let plan = sound(r#"parts = [{ name = "", file = "net.syn", cut = "pool" }]"#);
    assert_eq!(output(&plan).to_string(), "f32[n, 4]");
    let kept = [
        "conv.weight",
        "bn.weight",
        "bn.bias",
        "bn.running_mean",
        "bn.running_var",
        "bn.num_batches_tracked",
    ];
    assert_eq!(names(&plan), kept);
    let updates = graph(&plan).outputs().len() - 1;
    assert_eq!(
        updates, 3,
        "the batch norm's, and nothing of what comes late"
    );
    assert!(!op_names(&plan).contains(&"linear"));
}

#[test]
fn a_new_head_keeps_the_names_of_the_source() {
    let plan = sound(
        r#"parts = [
            { name = "", file = "net.syn", cut = "pool" },
            { name = "", layers = [{ linear = 3, name = "fc" }] },
        ]"#,
    );
    assert_eq!(output(&plan).to_string(), "f32[n, 3]");
    assert!(names(&plan).contains(&"fc.weight") && names(&plan).contains(&"conv.weight"));
}

#[test]
fn a_whole_file_keeps_states_that_nothing_reads() {
    let plan = sound(r#"file = "net.syn""#);
    assert_eq!(names(&plan).len(), 10);
}

#[test]
fn a_wrong_cut_is_shown_with_what_there_is() {
    let mistake = |cut: &str| {
        let block = format!(r#"parts = [{{ file = "net.syn", cut = "{cut}" }}]"#);
        lower(&block).unwrap_err()
    };
    let error = mistake("pol");
    assert!(
        error.contains("nothing called `pol` to be cut at"),
        "{error}"
    );
    assert!(error.contains("did you mean `pool`?"), "{error}");
    assert!(error.contains("it has conv, bn, pool, late, fc"), "{error}");
    let error = mistake("late");
    assert!(error.contains("nothing comes after `late`"), "{error}");
    let layers = lower(r#"parts = [{ layers = ["relu"], cut = "0" }]"#).unwrap_err();
    assert!(layers.contains("only a `file` has values"), "{layers}");
}

#[test]
fn adapters_stand_beside_frozen_layers() {
    let plan = sound(
        r#"parts = [{ name = "", file = "net.syn",
            lora = { targets = ["fc", "conv"], rank = 2, alpha = 6, dropout = 0.5 } }]"#,
    );
    let states = states(&plan);
    let state = |name: &str| {
        let found = states.iter().find(|state| state.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {states:#?}"))
    };
    assert_eq!(
        state("fc.lora_A.weight"),
        "fc.lora_A.weight: f32[2, 4] trainable Uniform(-0.5, 0.5)"
    );
    assert_eq!(
        state("fc.lora_B.weight"),
        "fc.lora_B.weight: f32[10, 2] trainable Constant(0.0)"
    );
    assert!(state("conv.lora_A.weight").contains("f32[2, 1, 3, 3]"));
    assert!(state("conv.lora_B.weight").contains("f32[4, 2, 1, 1]"));
    assert!(state("fc.bias").contains("frozen") && state("bn.weight").contains("frozen"));
    assert!(state("bn.running_mean").contains("buffer"), "as in peft");
    let text = print(&plan);
    assert!(text.contains("value=3.0"), "alpha by rank:\n{text}");
    assert_eq!(text.matches("= dropout").count(), 2);
    assert!(text.contains("stream(_, \"fc.lora_dropout\", 0)"));
    assert_eq!(
        plan.graph(TRAIN)
            .map(|_| output(&plan).to_string())
            .unwrap(),
        "f32[n, 10]"
    );
}

#[test]
fn adapters_of_layers_that_are_listed() {
    let plan = sound(
        r#"parts = [{ name = "net", layers = ["flatten", { linear = 3, name = "q" }],
            lora = { targets = "q", rank = 1 } }]"#,
    );
    assert_eq!(
        names(&plan),
        [
            "net.q.weight",
            "net.q.bias",
            "net.q.lora_A.weight",
            "net.q.lora_B.weight"
        ]
    );
    assert!(!op_names(&plan).contains(&"dropout"));
}

#[test]
fn wrong_adapters_are_told() {
    let mistake = |lora: &str| {
        let block = format!(r#"parts = [{{ file = "net.syn", lora = {lora} }}]"#);
        lower(&block).unwrap_err()
    };
    let cases = [
        (
            r#"{ targets = ["bn"], rank = 2 }"#,
            "no layer that can have an adapter",
        ),
        (r#"{ targets = [], rank = 2 }"#, "names no layer"),
        (r#"{ targets = ["fc"], rank = 0 }"#, "at least 1"),
        (r#"{ targets = ["fc"] }"#, "rank"),
        (
            r#"{ targets = ["fc"], rank = 1, dropout = 1.0 }"#,
            "a probability below 1",
        ),
        (r#"{ targets = ["fc"], rank = 1, alfa = 1.0 }"#, "alfa"),
        (r#"3"#, "a table"),
    ];
    for (lora, expected) in cases {
        let error = mistake(lora);
        assert!(error.contains(expected), "{lora}: {error}");
    }
}
