//! What is drawn, and that it is drawn the same every time.

use std::fmt::Write;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{Plan, TRAIN, parse};

fn plan(text: &str) -> Plan {
    let ops = Arc::new(syncarp_ops::standard());
    let text = format!("syncarp 1\n{text}");
    parse(&Source::new("t.syn", text), &ops).unwrap()
}

/// Two models that share a stem and have a head each.
fn family() -> Plan {
    plan(
        r#"
model m0 "a<b>&\"c\"" { "h.weight" = s0 : f32[4] trainable init(constant(1.0), stream(_, "h", 0)) }
model m1 "second" {}
graph "train" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 4]} @m0, m1
  stem = relu x @m0 "stem", m1 "stem"
  w = state {of=s0} @m0 "h.weight"
  a = mul stem, w @m0 "h"
  b = tanh stem @m1 "h"
  result m0 "y" = a
  result m1 "y" = b
}
"#,
    )
}

fn svg(plan: &Plan) -> String {
    syncarp_draw::svg(plan, plan.graph(TRAIN).unwrap())
}

#[test]
fn models_have_frames_and_what_they_share_is_marked() {
    let svg = svg(&family());
    for shown in [
        ">m0 a&lt;b&gt;&amp;&quot;c&quot;<",
        ">m1 second<",
        ">shared<",
        ">shared by 2 models<",
        ">4 trainable<",
        ">tanh<",
    ] {
        assert!(svg.contains(shown), "{shown} is missing in\n{svg}");
    }
    assert!(!svg.contains(">state<"), "states are told by their readers");
    assert_eq!(svg.matches("<path class=\"e\"").count(), 5);
}

#[test]
fn devices_are_frames_around_models() {
    let plan = plan(
        r#"
model m0 "a" {}
graph "train" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n]} on dev0 @m0
  y = relu x on dev1 @m0
  result m0 "y" = y
}
"#,
    );
    let svg = svg(&plan);
    assert!(svg.contains(">dev0<") && svg.contains(">dev1<"), "{svg}");
}

#[test]
fn a_picture_is_the_same_every_time() {
    let plan = family();
    let first = syncarp_draw::html(&plan, "t");
    for _ in 0..8 {
        assert_eq!(syncarp_draw::html(&plan, "t"), first);
    }
}

#[test]
fn a_graph_of_many_ops_is_drawn_by_module() {
    let mut text = String::from("model m0 \"deep\" {}\ngraph \"train\" {\n");
    text += "v0 = input {model=m0, name=\"x\", dtype=f32, dims=dims[n]} @m0\n";
    for i in 1..3000 {
        let (before, block) = (i - 1, i / 100);
        writeln!(text, "v{i} = relu v{before} @m0 \"block.{block}.{i}\"").unwrap();
    }
    text += "result m0 \"y\" = v2999\n}\n";
    let svg = svg(&plan(&text));
    assert!(svg.contains(">block.7<"), "a box for a block");
    assert!(svg.contains(">100 ops<"), "and how much is in it");
    assert!(svg.matches("<g>").count() < 40);
    assert!(svg.contains("drawn by module"));
}

#[test]
fn an_empty_graph_is_an_empty_picture() {
    let plan = plan("model m0 \"none\" {}\ngraph \"train\" {\n}\n");
    assert!(svg(&plan).ends_with("</svg>\n"));
}
