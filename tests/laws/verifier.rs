//! The verifier finds what is wrong, each kind by its number.

use syncarp_ir::{StateKind, Tier, check, verify};

use crate::plan;

const TWO: &str = r#"syncarp 1
model m0 "a" data d0 { "w" = s0 : f32[3] trainable init(constant(0.5), stream(1, "w", 0)) }
model m1 "b" data d0 { "w" = s1 : f32[3] trainable init(constant(0.5), stream(1, "w", 0)) }
graph "train" {
  w0 = state {of=s0} @m0
  w1 = state {of=s1} @m1
  l0 = sum w0 {axes=[0], keep=false} @m0
  both = add w0, w1 @m0, m1
  l1 = sum both {axes=[0], keep=false} @m1
  loss m0 = l0
"#;

fn found(text: &str) -> Vec<u8> {
    let mut numbers: Vec<u8> = verify(&plan(text)).iter().map(|v| v.invariant).collect();
    numbers.dedup();
    numbers
}

#[test]
fn gradients_must_not_leak_between_models() {
    assert_eq!(found(&format!("{TWO} }}")), [] as [u8; 0]);
    assert_eq!(found(&format!("{TWO} loss m1 = l1 }}")), [10]);
    assert_eq!(found(&format!("{TWO} update s1 = w0 }}")), [10]);
}

#[test]
fn outputs_are_unique_and_typed() {
    assert_eq!(found(&format!("{TWO} loss m0 = l0 }}")), [7]);
    assert_eq!(found(&format!("{TWO} loss m1 = w1 }}")), [7]);
    assert_eq!(found(&format!("{TWO} update s0 = l0 }}")), [7]);
}

#[test]
fn states_have_owners_unless_frozen() {
    let mut plan = plan(&format!("{TWO} }}"));
    plan.states[0].owner = None;
    assert!(verify(&plan).iter().any(|v| v.invariant == 9));
    plan.states[0].kind = StateKind::Frozen;
    assert!(verify(&plan).is_empty());
    plan.models[1]
        .states
        .push(("stolen".into(), syncarp_ir::State::new(0)));
    assert!(verify(&plan).is_empty(), "a frozen state is everybody's");
    plan.models[0]
        .states
        .push(("stolen".into(), syncarp_ir::State::new(1)));
    assert!(verify(&plan).iter().any(|v| v.invariant == 9));
}

#[test]
fn sources_stand_for_whom_they_belong_to() {
    let text = TWO.replace("w0 = state {of=s0} @m0", "w0 = state {of=s0} @m1");
    assert_eq!(found(&format!("{text} }}")), [13]);
}

#[test]
fn a_graph_is_placed_whole_or_not_at_all() {
    let text = TWO.replace("w0 = state {of=s0} @m0", "w0 = state {of=s0} on dev0 @m0");
    assert_eq!(found(&format!("{text} }}")), [12]);
}

#[test]
fn what_is_wrong_is_shown_where_it_is() {
    let text = TWO.replace("w0 = state {of=s0} @m0", "w0 = state {of=s0} on dev0 @m1");
    let broken = check(&plan(&format!("{text} loss m1 = w1 }}")), Tier::Full).unwrap_err();
    let expected = "\
the plan breaks its invariants in 6 places
graph \"train\" {
  v0 = state {of=s0} : f32[3] on dev0 @m1
  ^ invariant 13: `state`: its owner is not among the models it stands for
  v1 = state {of=s1} : f32[3] @m1
  ^ invariant 12: `state`: some nodes are on a device and some are not
  ^ invariant 7: a loss is a float scalar, not f32[3]
";
    assert!(broken.to_string().starts_with(expected), "{broken}");
}

#[test]
fn the_cheap_tier_sees_order_ownership_and_outputs() {
    let cheap = |text: &str| check(&plan(text), Tier::Cheap).is_ok();
    assert!(cheap(&format!("{TWO} }}")));
    assert!(!cheap(&format!("{TWO} loss m1 = l1 }}")), "leaks");
    assert!(!cheap(&format!("{TWO} loss m0 = l0 }}")), "is given twice");
    let text = TWO.replace("w0 = state {of=s0} @m0", "w0 = state {of=s0} @m1");
    assert!(
        cheap(&format!("{text} }}")),
        "provenance is for the full one"
    );
}
