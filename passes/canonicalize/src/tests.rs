//! What each rule does to a plan, as text.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{OpRegistry, Plan, parse, print, verify};
use syncarp_pass::{Changed, Context, Manager, Pass, PassRegistry};

use crate::{Canonicalize, rules};

const HEAD: &str = r#"syncarp 1
model m0 "a" {
  "w" = s0 : f32[3] trainable init(constant(0.5), stream(1, "w", 0))
}
"#;

fn ops() -> Arc<OpRegistry> {
    Arc::new(syncarp_ops::standard())
}

fn plan(graph: &str, body: &str) -> Plan {
    let text = format!("{HEAD}graph \"{graph}\" {{\n{body}\n}}\n");
    match parse(&Source::new("t", text.as_str()), &ops()) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    }
}

fn manager() -> Manager {
    let mut registry = PassRegistry::new();
    crate::register(&mut registry).unwrap();
    let mut manager = Manager::new(&registry, "canonicalize").unwrap();
    manager.set_verify(true);
    manager
}

/// The nodes and outputs of the only graph, without types and provenance.
fn body(plan: &Plan) -> String {
    let text = print(plan);
    let lines = text.lines().skip_while(|l| !l.starts_with("graph")).skip(1);
    let mut out = String::new();
    for line in lines.take_while(|l| *l != "}") {
        let end = line.find(" : ").unwrap_or(line.len());
        let _ = writeln!(out, "{}", line[..end].trim());
    }
    out
}

/// Runs the pass: the body of the graph that comes out, and which rules were applied.
fn run(plan: &mut Plan) -> (String, Vec<&'static str>) {
    let reports = manager().run(plan, &mut Context::bare(), &mut ()).unwrap();
    assert!(verify(plan).is_empty());
    let names = reports[0].statistics.iter().map(|(name, _)| *name);
    let names: Vec<_> = names.collect();
    assert_eq!(reports[0].changed, !names.is_empty());
    let after = body(plan);
    assert_eq!(
        Canonicalize.run(plan, &mut Context::bare()).unwrap(),
        Changed::No,
        "{after}"
    );
    (after, names)
}

/// Inputs that the cases below read.
const INPUTS: &[(&str, &str)] = &[
    (
        "x",
        "input {model=m0, name=\"x\", dtype=f32, dims=dims[n, 4, 3]}",
    ),
    (
        "z",
        "input {model=m0, name=\"z\", dtype=f32, dims=dims[n, 4, 3]}",
    ),
    (
        "row",
        "input {model=m0, name=\"row\", dtype=f32, dims=dims[3]}",
    ),
    (
        "thin",
        "input {model=m0, name=\"thin\", dtype=f32, dims=dims[n, 1, 3]}",
    ),
    ("i", "input {model=m0, name=\"i\", dtype=i64, dims=dims[n]}"),
    (
        "b",
        "input {model=m0, name=\"b\", dtype=bool, dims=dims[n]}",
    ),
    (
        "image",
        "input {model=m0, name=\"image\", dtype=f32, dims=dims[n, 1, 6, 6]}",
    ),
    ("any", "input {model=m0, name=\"any\"}"),
];

/// A graph over the inputs that the lines read; the last line's first result is the model's.
fn case(lines: &str) -> String {
    let words: BTreeSet<&str> = lines.split([' ', ',', '\n']).collect();
    let mut text = String::new();
    for (name, input) in INPUTS.iter().filter(|(name, _)| words.contains(name)) {
        let _ = writeln!(text, "{name} = {input} @m0");
    }
    let last = lines.lines().last().unwrap().trim();
    let result = last.split([' ', ',']).next().unwrap();
    format!("{text}{lines}\nresult m0 \"y\" = {result}")
}

/// For each rule: lines, what the last result becomes, and whether other rules help.
const CASES: &[(&str, &str, &str)] = &[
    ("copy", "y = copy x", "x"),
    ("same-cast", "y = cast x {to=f32}", "x"),
    (
        "cast-through",
        "a = cast x {to=f64}\ny = cast a {to=f16}",
        "cast x {to=f16}",
    ),
    (
        "cast-through",
        "a = cast b {to=f32}\ny = cast a {to=i64}",
        "cast b {to=i64}",
    ),
    (
        "cast-through",
        "a = cast x {to=f64}\ny = cast a {to=f32}",
        "x",
    ),
    ("same-reshape", "y = reshape x {dims=dims[n, 4, 3]}", "x"),
    (
        "same-transpose",
        "y = transpose x {permutation=[0, 1, 2]}",
        "x",
    ),
    ("same-expand", "y = expand x {dims=dims[n, 4, 3]}", "x"),
    ("whole-slice", "y = slice x {axis=0, start=0}", "x"),
    (
        "whole-slice",
        "y = slice x {axis=1, start=-4, end=4, step=1}",
        "x",
    ),
    (
        "empty-pad",
        "v = constant {dtype=f32, value=7.0}\ny = pad x, v {low=[0, 0, 0], high=[0, 0, 0]}",
        "x",
    ),
    ("lone-concat", "y = concat x {axis=1}", "x"),
    ("single-tile", "y = tile x {repeats=[1, 1, 1]}", "x"),
    (
        "dropout-of-nothing",
        "p = constant {dtype=f32, value=0.0}\nt = constant {dtype=i64, value=3}\n\
         y, mask = dropout x, p, t {stream=stream(1, \"d\", 0)}",
        "x",
    ),
    (
        "to-reshape",
        "y = flatten x {start=1}",
        "reshape x {dims=dims[n, 12]}",
    ),
    (
        "to-reshape",
        "y = squeeze thin {axes=[1]}",
        "reshape thin {dims=dims[n, 3]}",
    ),
    (
        "to-reshape",
        "y = unsqueeze row {axes=[0, -1]}",
        "reshape row {dims=dims[1, 3, 1]}",
    ),
    (
        "reshape-of-reshape",
        "a = flatten x\nb1 = unsqueeze a {axes=[0]}\ny = reshape b1 {dims=dims[n, 12]}",
        "reshape x {dims=dims[n, 12]}",
    ),
    (
        "reshape-of-reshape",
        "a = unsqueeze x {axes=[1]}\ny = squeeze a {axes=[1]}",
        "x",
    ),
    (
        "transpose-of-transpose",
        "a = transpose x {permutation=[1, 2, 0]}\ny = transpose a {permutation=[1, 0, 2]}",
        "transpose x {permutation=[2, 1, 0]}",
    ),
    (
        "transpose-of-transpose",
        "a = transpose x {permutation=[1, 2, 0]}\ny = transpose a {permutation=[2, 0, 1]}",
        "x",
    ),
    (
        "transpose-of-ones",
        "y = transpose thin {permutation=[1, 0, 2]}",
        "reshape thin {dims=dims[1, n, 3]}",
    ),
    (
        "expand-of-expand",
        "a = expand row {dims=dims[4, 3]}\ny = expand a {dims=dims[n, 4, 3]}",
        "expand row {dims=dims[n, 4, 3]}",
    ),
    (
        "hardtanh-to-clamp",
        "l = constant {dtype=f32, value=-1.0}\nh = constant {dtype=f32, value=1.0}\n\
         y = hardtanh x, l, h",
        "clamp x, l, h",
    ),
    (
        "relu6-to-clamp",
        "y = relu6 x",
        "clamp x, constant {dtype=f32, value=0.0}, constant {dtype=f32, value=6.0}",
    ),
    ("twice-the-same", "a = relu x\ny = relu a", "a"),
    ("operand-order", "y = add z, x", "add x, z"),
    (
        "operand-order",
        "c = constant {dtype=f32, value=2.0}\na = relu x\ny = mul c, a",
        "mul a, c",
    ),
    (
        "operand-order",
        "a = logical_not b\ny = logical_or a, b",
        "logical_or b, a",
    ),
    ("double-negation", "a = neg x\ny = neg a", "x"),
    (
        "double-negation",
        "a = logical_not b\ny = logical_not a",
        "b",
    ),
    (
        "times-one",
        "c = constant {dtype=f32, value=1.0}\ny = mul c, x",
        "x",
    ),
    (
        "times-one",
        "c = constant {dtype=i64, value=1}\ny = div i, c",
        "i",
    ),
    (
        "times-minus-one",
        "c = constant {dtype=f32, value=-1.0}\ny = mul x, c",
        "neg x",
    ),
    (
        "plus-nothing",
        "c = constant {dtype=f32, value=-0.0}\ny = add x, c",
        "x",
    ),
    (
        "plus-nothing",
        "c = constant {dtype=i64, value=0}\ny = add c, i",
        "i",
    ),
    (
        "minus-nothing",
        "c = constant {dtype=f32, value=0.0}\ny = sub x, c",
        "x",
    ),
    ("plus-negated", "a = neg z\ny = add x, a", "sub x, z"),
    ("plus-negated", "a = neg z\ny = sub x, a", "add x, z"),
    (
        "axis-from-front",
        "y = cumsum x {axis=-1}",
        "cumsum x {axis=2}",
    ),
    (
        "axes-in-order",
        "y = sum x {axes=[-1, 0]}",
        "sum x {axes=[0, 2]}",
    ),
    ("axes-in-order", "y = sum x {axes=[2, 0, 1]}", "sum x"),
    (
        "slice-places",
        "y = slice x {axis=1, start=-3, end=-1}",
        "slice x {axis=1, end=3, start=1}",
    ),
    (
        "slice-places",
        "y = slice x {axis=1, start=1, end=4}",
        "slice x {axis=1, start=1}",
    ),
    (
        "constant-number",
        "y = constant {dtype=f32, dims=dims[2], value=[1, 1]}",
        "constant {dims=dims[2], dtype=f32, value=1.0}",
    ),
    (
        "written-default",
        "y = sum x {axes=[1], keep=false}",
        "sum x {axes=[1]}",
    ),
    (
        "written-default",
        "y = avg_pool2d image {kernel=[2, 2], stride=[2, 2], padding=[0, 0], ceil_mode=false, count_include_pad=true}",
        "avg_pool2d image {kernel=[2, 2]}",
    ),
    (
        "written-default",
        "y = gelu x {approximate=\"none\"}",
        "gelu x",
    ),
    (
        "written-default",
        "y = constant {dtype=f32, dims=dims[], value=1.0}",
        "constant {dtype=f32, value=1.0}",
    ),
];

/// What a result is, with constants that a rule made written in their places.
fn shown(body: &str, names: &[(String, String)]) -> String {
    let lines: Vec<&str> = body.lines().collect();
    let define = |value: &str| {
        let is = |l: &&&str| {
            let results = l.split(" = ").next().unwrap_or("");
            results.split(", ").any(|r| r == value)
        };
        let line = lines.iter().find(is).unwrap();
        line.split_once(" = ").unwrap().1.to_owned()
    };
    let name = |value: &str| {
        let known = names.iter().find(|(_, text)| *text == define(value));
        known.map(|(name, _)| name.clone())
    };
    let result = lines.iter().find(|l| l.starts_with("result")).unwrap();
    let value = result.split(" = ").nth(1).unwrap();
    if let Some(name) = name(value) {
        return name;
    }
    let node = define(value);
    let (head, attrs) = node
        .split_once(" {")
        .map_or((&*node, None), |(h, a)| (h, Some(a)));
    let (op, operands) = head.split_once(' ').unwrap_or((head, ""));
    let operands = operands.split(", ").filter(|o| !o.is_empty());
    let operands: Vec<String> = operands
        .map(|o| name(o).unwrap_or_else(|| define(o)))
        .collect();
    let mut out = op.to_owned();
    if !operands.is_empty() {
        out += &format!(" {}", operands.join(", "));
    }
    if let Some(attrs) = attrs {
        out += &format!(" {{{attrs}");
    }
    out
}

#[test]
fn every_rule_gives_one_spelling() {
    let mut seen = BTreeSet::new();
    for (rule, lines, expected) in CASES {
        let text = case(lines);
        let mut plan = plan("eval", &text);
        // The names that the case's lines gave, by what they name, in the canonical form.
        let mut names = Vec::new();
        let before = body(&plan);
        let written = text.lines().filter_map(|l| l.split_once(" = "));
        for ((name, _), line) in written.zip(before.lines()) {
            if let Some((_, node)) = line.split_once(" = ")
                && !name.starts_with("result")
                && name != "y"
            {
                names.push((name.split(',').next().unwrap().to_owned(), node.to_owned()));
            }
        }
        let (after, applied) = run(&mut plan);
        assert!(
            applied.contains(rule),
            "{rule} was not applied to\n{text}\n{applied:?}"
        );
        seen.extend(applied.iter().copied());
        assert_eq!(
            shown(&after, &names),
            *expected,
            "{rule}: {text}\nbecame\n{after}"
        );
    }
    let ops = ops();
    for rule in rules::all() {
        let known = match rule.roots {
            crate::rule::Roots::Named(names) => names.iter().any(|n| ops.find(n).is_some()),
            crate::rule::Roots::All(_) => true,
        };
        assert!(
            !known || seen.contains(rule.name),
            "no case for rule {}",
            rule.name
        );
        assert!(rule.doc.ends_with('.'), "{}", rule.name);
    }
}

#[test]
fn what_would_change_a_bit_stays() {
    let stay = [
        "c = constant {dtype=f32, value=0.0}\ny = add x, c",
        "c = constant {dtype=f32, value=-0.0}\ny = sub x, c",
        "y = maximum z, x",
        "y = sub z, x",
        "a = cast x {to=f16}\ny = cast a {to=f32}",
        "a = cast i {to=i32}\ny = cast a {to=i64}",
        "a = cast i {to=f32}\ny = cast a {to=i64}",
        "y = flatten any {start=1}",
        "y = slice x {axis=1, start=0, end=3}",
        "y = slice x {axis=1, start=0, step=2}",
        "y = reshape x {dims=dims[n, 3, 4]}",
        "y = transpose x {permutation=[0, 2, 1]}",
        "y = sum row {axes=[]}",
        "p = constant {dtype=f32, value=0.5}\nt = constant {dtype=i64, value=3}\n\
         y, mask = dropout x, p, t {stream=stream(1, \"d\", 0)}",
        "c = constant {dtype=f32, dims=dims[2, 1, 1, 1], value=1.0}\ny = mul x, c",
    ];
    for lines in stay {
        let mut plan = plan("eval", &case(lines));
        let before = print(&plan);
        let (_, applied) = run(&mut plan);
        assert_eq!(applied, [] as [&str; 0], "{lines}");
        assert_eq!(print(&plan), before);
    }
}

/// A training graph over the parameter `w`, whose loss is the sum of `y`.
fn training(lines: &str) -> String {
    format!("w = state {{of=s0}} @m0\n{lines}\nl = sum y\nloss m0 = l")
}

#[test]
fn of_what_is_trained_gradients_stay_the_same_sums() {
    let goes = [
        // One user takes the place of another.
        "a = neg w\nb = neg a\ny = exp b",
        // All users of the result come to the operand, which had no other.
        "a = copy w\nb = exp a\nc = sin a\ny = mul b, c",
        // Of two users, one is another now.
        "a = copy w\nb = exp a\ny = mul w, b",
        "a = reshape w {dims=dims[3, 1]}\ny = flatten a",
        "a = exp w\nb = sin w\ny = add b, a",
    ];
    let stays = [
        // Three gradients meet at w, in an order that would be another.
        "a = copy w\nb = exp a\nc = sin a\nd = mul b, c\ny = mul w, d",
        "a = copy w\nb = exp w\nc = sin w\ne = mul b, c\nd = exp a\ny = mul e, d",
        // The reshape between stays alive, so that w would have another user.
        "a = reshape w {dims=dims[3, 1]}\nb = exp a\nc = flatten a\nd = flatten b\ny = mul c, d",
        // The gradient would be one sum instead of two.
        "a = expand w {dims=dims[4, 3]}\ny = expand a {dims=dims[2, 4, 3]}",
    ];
    for lines in goes {
        let mut plan = plan("train", &training(lines));
        let (_, applied) = run(&mut plan);
        assert!(!applied.is_empty(), "{lines}");
    }
    for lines in stays {
        let spelled = ["to-reshape"];
        let mut plan = plan("train", &training(lines));
        let (after, applied) = run(&mut plan);
        assert!(
            applied.iter().all(|a| spelled.contains(a)),
            "{lines}\n{after}"
        );
        let mut plan = super::tests::plan("step", &training(lines));
        let (_, applied) = run(&mut plan);
        assert!(
            !applied.is_empty(),
            "after differentiation it goes: {lines}"
        );
    }
}

#[test]
fn devices_are_not_crossed() {
    let text = "x = input {model=m0, name=\"x\", dtype=f32, dims=dims[n]} on host @m0\n\
                y = copy x on dev0 @m0\nz = copy y on dev0 @m0\nresult m0 \"y\" = z";
    let mut plan = plan("eval", text);
    let (after, _) = run(&mut plan);
    assert!(after.contains("v1 = copy v0"), "{after}");
    assert!(after.contains("\"y\" = v1"), "{after}");
}

#[test]
fn a_long_chain_is_seen_through_in_one_walk() {
    let mut lines = String::from("r0 = flatten x");
    for i in 1..1_000 {
        let before = i - 1;
        let _ = write!(
            lines,
            "\na{i} = unsqueeze r{before} {{axes=[0]}}\nb{i} = squeeze a{i} {{axes=[0]}}\n\
             c{i} = neg b{i}\nd{i} = neg c{i}\nr{i} = copy d{i}"
        );
    }
    let mut plan = plan("eval", &case(&lines));
    let (after, _) = run(&mut plan);
    let result = after.lines().last().unwrap().rsplit(' ').next().unwrap();
    let node = format!("{result} = reshape v0 {{dims=dims[12*n]}}");
    assert!(after.lines().any(|line| line == node), "{node}");
}
