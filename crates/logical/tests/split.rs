//! Taking a plan apart: into projections that hold all that their models need, and nothing else.

use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{Content, Model, Plan, parse, print, verify};
use syncarp_logical::{project, split};

const THREE: &str = r#"syncarp 1
model m0 "a" data d0 {
  "b.w" = s0 : f32[4, 3] frozen content("aa")
  "h.w" = s1 : f32[2, 4] trainable init(uniform(-1.0, 1.0), stream(1, "h.w", 0))
}
model m1 "b" data d0 {
  "b.w" = s0
  "h.w" = s2 : f32[2, 4] trainable init(uniform(-1.0, 1.0), stream(1, "h.w", 0))
}
model m2 "c" data d0 {
  "m" = s3 : f32[4] buffer init(constant(0.0), stream(1, "m", 0))
}
graph "train" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 3]} @m0, m1, m2
  b = state {of=s0} @m0 "b", m1 "b"
  f = linear x, b @m0 "b", m1 "b"
  w0 = state {of=s1} @m0 "h"
  y0 = linear f, w0 @m0 "h"
  w1 = state {of=s2} @m1 "h"
  y1 = linear f, w1 @m1 "h"
  dead = relu y1 @m1 "dead"
  m = state {of=s3} @m2
  next = tanh m @m2
  y2 = relu x @m2
  result m0 "y" = y0
  result m1 "y" = y1
  result m2 "y" = y2
  update s3 = next
}
"#;

fn plan() -> Plan {
    let ops = Arc::new(syncarp_ops::standard());
    let mut plan = parse(&Source::new("t", THREE), &ops).unwrap_or_else(|e| panic!("{e}"));
    for (name, value) in [("aa", 1.0), ("unused", 2.0)] {
        let hash = syncarp_ir::ContentHash(name.into());
        let data = syncarp_ir::TensorData::Float(vec![value; 12]);
        plan.contents.insert(hash, Content::new(data));
    }
    plan
}

fn models(numbers: &[usize]) -> Vec<Model> {
    numbers.iter().copied().map(Model::new).collect()
}

#[test]
fn a_part_holds_what_its_models_need_in_their_order() {
    let parts = split(&plan(), &[&models(&[2, 1]), &models(&[0])]);
    assert_eq!(
        print(&parts[0]),
        r#"syncarp 1

model m0 "c" data d0 {
  "m" = s0 : f32[4] buffer init(constant(0.0), stream(1, "m", 0))
}

model m1 "b" data d0 {
  "b.w" = s1 : f32[4, 3] frozen content("aa")
  "h.w" = s2 : f32[2, 4] trainable init(uniform(-1.0, 1.0), stream(1, "h.w", 0))
}

graph "train" {
  v0 = input {dims=dims[n, 3], dtype=f32, model=m0, name="x"} : f32[n, 3] @m0, m1
  v1 = state {of=s1} : f32[4, 3] @m1 "b"
  v2 = linear v0, v1 : f32[n, 4] @m1 "b"
  v3 = state {of=s2} : f32[2, 4] @m1 "h"
  v4 = linear v2, v3 : f32[n, 2] @m1 "h"
  v5 = state {of=s0} : f32[4] @m0
  v6 = tanh v5 : f32[4] @m0
  v7 = relu v0 : f32[n, 3] @m0
  result m1 "y" = v4
  result m0 "y" = v7
  update s0 = v6
}
"#
    );
    assert_eq!(parts[1].models[0].name, "a".into());
    assert_eq!(parts[1].graphs[0].1.len(), 5);
}

#[test]
fn parts_are_the_projections_one_by_one() {
    let plan = plan();
    let groups = [models(&[1]), models(&[]), models(&[2, 0])];
    let parts = split(&plan, &groups.each_ref().map(|group| &group[..]));
    for (part, group) in parts.iter().zip(&groups) {
        assert!(*part == project(&plan, group), "{group:?}");
        assert!(verify(part).is_empty());
    }
    assert!(parts[1].graphs[0].1.is_empty());
}

/// Only the data of states that are there goes along.
#[test]
fn contents_go_with_their_states() {
    let plan = plan();
    let with = project(&plan, &models(&[0]));
    let names: Vec<_> = with.contents.keys().map(|hash| &*hash.0).collect();
    assert_eq!(names, ["aa"]);
    assert!(project(&plan, &models(&[2])).contents.is_empty());
}

/// More groups than a word of the bit sets has bits, all of which read one input.
#[test]
fn a_hundred_parts_share_an_input() {
    let ops = Arc::new(syncarp_ops::standard());
    let count = 100;
    let mut text = "syncarp 1\n".to_owned();
    for m in 0..count {
        text += &format!("model m{m} \"{m}\" data d0 {{}}\n");
    }
    let all: Vec<_> = (0..count).map(|m| format!("m{m}")).collect();
    text += "graph \"train\" {\n  x = input {model=m0, name=\"x\"} @";
    text += &all.join(", ");
    for m in 0..count {
        text += &format!("\n  y{m} = relu x @m{m}");
    }
    for m in 0..count {
        text += &format!("\n  result m{m} \"y\" = y{m}");
    }
    text += "\n}\n";
    let plan = parse(&Source::new("t", text), &ops).unwrap_or_else(|e| panic!("{e}"));
    let singles: Vec<_> = (0..count).map(|m| models(&[m])).collect();
    let groups: Vec<&[Model]> = singles.iter().map(|group| &group[..]).collect();
    for (m, part) in split(&plan, &groups).iter().enumerate() {
        assert_eq!(*part.models[0].name, m.to_string());
        assert_eq!(
            print(part).split_once("graph").unwrap().1,
            " \"train\" {\n  v0 = input {model=m0, name=\"x\"} : ?[*] @m0\n  \
             v1 = relu v0 : ?[*] @m0\n  result m0 \"y\" = v1\n}\n"
        );
    }
}

#[test]
#[should_panic(expected = "in two groups")]
fn a_model_is_in_one_group() {
    split(&plan(), &[&models(&[0]), &models(&[1, 0])]);
}
