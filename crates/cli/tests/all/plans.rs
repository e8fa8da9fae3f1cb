//! Comparing plans and drawing them.

use crate::common::Place;

const PLAN: &str = r#"syncarp 1
model m0 "a" {}
model m1 "b" {}
graph "eval" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 4]} @m0
  y = relu x @m0 "act"
  z = input {model=m1, name="x", dtype=f32, dims=dims[n, 4]} @m1
  w = tanh z @m1 "act"
  result m0 "y" = y
  result m1 "y" = w
}
"#;

#[test]
fn diff_tells_what_changed_and_nothing_of_equal_plans() {
    let place = Place::new();
    place.write("a.syn", PLAN);
    place.write("b.syn", &PLAN.replace("tanh z", "sigmoid z"));
    let same = place.run(&["diff", "a.syn", "a.syn"]);
    assert_eq!((same.code, same.out.as_str()), (0, ""));
    let changed = place.run(&["diff", "a.syn", "b.syn"]);
    let expected = "\
graph \"eval\": 4 nodes, now 4
- v3' = tanh v2 : f32[n, 4] @m1 \"act\"
+ v3 = sigmoid v2 : f32[n, 4] @m1 \"act\"
~ result m1 \"y\" = v3  (was v3')
";
    assert_eq!((changed.code, changed.out.as_str()), (1, expected));
}

#[test]
fn show_draws_an_image_of_one_graph_or_a_page_of_all() {
    let place = Place::new();
    place.write("a.syn", PLAN);
    assert_eq!(place.run(&["show", "a.syn", "-o", "a.svg"]).code, 0);
    assert!(place.read("a.svg").starts_with("<svg "));
    assert_eq!(place.run(&["show", "a.syn", "-o", "a.html"]).code, 0);
    assert!(place.read("a.html").contains(">eval</button>"));
    let wrong = place.run(&["show", "a.syn", "-o", "a.svg", "--graph", "train"]);
    assert_eq!(wrong.code, 2);
    let message = "no graph is called `train`; there are: eval";
    assert!(wrong.err.contains(message), "{}", wrong.err);
    let wrong = place.run(&["show", "a.syn", "-o", "a.png"]);
    assert!(
        wrong.err.contains("an .svg or an .html file"),
        "{}",
        wrong.err
    );
}
