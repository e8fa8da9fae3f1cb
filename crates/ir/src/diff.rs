//! What differs between two plans, as text: what a pass did.
//!
//! Nodes are not compared by their numbers, which every rewrite changes, but by what they are and
//! where they come from: a node of one plan is that of the other with the same op, attributes, types
//! and first origin, the first with the first, the second with the second and so on. So one node
//! taken away costs one line, not a line for each node after it.
//!
//! ```
//! use std::sync::Arc;
//! use syncarp_diag::Source;
//! use syncarp_ir::{OpRegistry, diff, parse};
//!
//! let text = |value: &str| {
//!     let node = format!("v0 = constant {{dtype=f32, value={value}}} : f32[] @m0");
//!     let text = format!("syncarp 1\nmodel m0 \"m\" {{}}\ngraph \"eval\" {{\n{node}\nresult m0 \"y\" = v0\n}}\n");
//!     parse(&Source::new("t.syn", text), &Arc::new(OpRegistry::new())).unwrap()
//! };
//! assert_eq!(diff(&text("1.0"), &text("1.0")), "");
//! let changed = diff(&text("1.0"), &text("2.0"));
//! assert!(changed.contains("- v0' = constant {dtype=f32, value=1.0}"), "{changed}");
//! assert!(changed.contains("+ v0 = constant {dtype=f32, value=2.0}"), "{changed}");
//! ```

use std::fmt::Write;
use std::hash::{BuildHasher, Hash};

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::entity::{Node, Value};
use crate::graph::Graph;
use crate::plan::{ModelEntry, Plan, StateEntry};
use crate::provenance::Role;
use crate::text::{plain, print_key, print_node};

/// The lines that tell two plans apart, nothing where they are equal: `-` for what is only in the
/// first, `+` for what is only in the second, `~` for a node whose operands or provenance changed,
/// with what they were. Values are numbered as in the second plan; those of the first that went have
/// a prime (`v7'`).
pub fn diff(before: &Plan, after: &Plan) -> String {
    let mut out = String::new();
    diff_models(before, after, &mut out);
    for (name, graph) in &before.graphs {
        match after.graph(name) {
            Some(now) => diff_graphs(name, graph, now, &mut out),
            None => {
                let _ = writeln!(out, "- graph {name:?}: {} nodes", graph.len());
            }
        }
    }
    for (name, graph) in &after.graphs {
        if before.graph(name).is_none() {
            let _ = writeln!(out, "+ graph {name:?}: {} nodes", graph.len());
        }
    }
    out
}

fn diff_models(before: &Plan, after: &Plan, out: &mut String) {
    for (index, model) in before.models.iter().enumerate() {
        match after.models.get(index) {
            None => {
                let _ = writeln!(out, "- model m{index} {:?}", model.name);
            }
            Some(now) => diff_model(before, after, (index, model, now), out),
        }
    }
    for (index, model) in after.models.iter().enumerate().skip(before.models.len()) {
        let _ = writeln!(out, "+ model m{index} {:?}", model.name);
    }
}

fn diff_model(
    before: &Plan,
    after: &Plan,
    (index, was, now): (usize, &ModelEntry, &ModelEntry),
    out: &mut String,
) {
    if was.name != now.name {
        let _ = writeln!(out, "~ model m{index} {:?}  (was {:?})", now.name, was.name);
    }
    let mut line = |sign: char, path: &str, entry: &StateEntry| {
        let (ty, kind) = (&entry.ty, entry.kind.name());
        let _ = writeln!(out, "{sign} state m{index} {path:?} : {ty} {kind}");
    };
    let known: FxHashMap<&str, &StateEntry> = now
        .states
        .iter()
        .map(|(path, state)| (&**path, after.state(*state)))
        .collect();
    let mut common: FxHashMap<&str, ()> = FxHashMap::default();
    for (path, state) in &was.states {
        let entry = before.state(*state);
        common.insert(path, ());
        match known.get(&**path) {
            None => line('-', path, entry),
            Some(other) if *other != entry => {
                line('-', path, entry);
                line('+', path, other);
            }
            Some(_) => {}
        }
    }
    for (path, state) in &now.states {
        if !common.contains_key(&**path) {
            line('+', path, after.state(*state));
        }
    }
}

/// What the nodes of a graph became.
struct Matching {
    /// For each node of the first graph, the one that it is in the second.
    forward: Vec<Option<Node>>,
    /// For each node of the second graph, the one that it was in the first.
    back: Vec<Option<Node>>,
}

impl Matching {
    fn new(before: &Graph, after: &Graph) -> Matching {
        let mut known: FxHashMap<u64, Vec<Node>> = FxHashMap::default();
        for node in before.nodes().rev() {
            known.entry(likeness(before, node)).or_default().push(node);
        }
        let mut forward = vec![None; before.len()];
        let back = after.nodes().map(|node| {
            let was = known.get_mut(&likeness(after, node))?.pop()?;
            forward[was.index()] = Some(node);
            Some(was)
        });
        let back = back.collect();
        Matching { forward, back }
    }

    /// What a value of the first graph is in the second.
    fn now(&self, before: &Graph, after: &Graph, value: Value) -> Option<Value> {
        let node = self.forward[before.def(value).index()]?;
        Some(after.result(node, before.result_index(value)))
    }
}

/// A hash of what a node is and where it comes from, its operands apart.
fn likeness(graph: &Graph, node: Node) -> u64 {
    let origin = graph.provenance().set(graph.provenance_id(node)).first();
    let origin = origin.map(|o| (o.model, &**graph.provenance().path(o.path), o.role));
    let mut hasher = FxBuildHasher.build_hasher();
    graph.op_name(node).hash(&mut hasher);
    graph.attrs(node).hash(&mut hasher);
    origin.hash(&mut hasher);
    for value in graph.results(node) {
        graph.ty(value).hash(&mut hasher);
    }
    std::hash::Hasher::finish(&hasher)
}

/// A node's origins, by text, so that those of two graphs compare.
fn origins(graph: &Graph, node: Node) -> Vec<(crate::Model, &str, Role)> {
    let set = graph.provenance().set(graph.provenance_id(node)).iter();
    let mut origins: Vec<_> = set
        .map(|o| (o.model, &**graph.provenance().path(o.path), o.role))
        .collect();
    origins.sort_unstable();
    origins
}

fn diff_graphs(name: &str, before: &Graph, after: &Graph, out: &mut String) {
    let matching = Matching::new(before, after);
    let mut lines = String::new();
    let old = |value: Value, out: &mut String| match matching.now(before, after, value) {
        Some(now) => plain(now, out),
        None => {
            let _ = write!(out, "{value}'");
        }
    };
    let gone = |node: Node, out: &mut String| {
        let mut text = String::new();
        print_node(before, node, &old, &mut text);
        let _ = write!(out, "- {}", text.trim_start());
    };
    // What went stands where it stood: before what came in its place, and before the first node that
    // followed it and is still there.
    let mut next = 0;
    for node in after.nodes() {
        let was = matching.back[node.index()];
        let here = |next: usize| match was {
            Some(was) => next < was.index(),
            None => next < before.len() && matching.forward[next].is_none(),
        };
        while here(next) {
            if matching.forward[next].is_none() {
                gone(Node::new(next), &mut lines);
            }
            next += 1;
        }
        next = next.max(was.map_or(0, |was| was.index() + 1));
        let mut text = String::new();
        print_node(after, node, &plain, &mut text);
        match was {
            None => {
                let _ = write!(lines, "+ {}", text.trim_start());
            }
            Some(was) => {
                let changes = changes(before, was, after, node, &old);
                if !changes.is_empty() {
                    let _ = writeln!(lines, "~ {}  ({changes})", text.trim());
                }
            }
        }
    }
    for node in (next..before.len()).filter(|n| matching.forward[*n].is_none()) {
        gone(Node::new(node), &mut lines);
    }
    diff_outputs(before, after, &matching, &old, &mut lines);
    if !lines.is_empty() {
        let (was, now) = (before.len(), after.len());
        let _ = writeln!(out, "graph {name:?}: {was} nodes, now {now}");
        out.push_str(&lines);
    }
}

/// What of a node that is in both graphs is not as it was.
fn changes(
    before: &Graph,
    was: Node,
    after: &Graph,
    now: Node,
    old: &impl Fn(Value, &mut String),
) -> String {
    let mut changes: Vec<String> = Vec::new();
    let operands = |graph: &Graph, node: Node, name: &dyn Fn(Value, &mut String)| {
        let mut text = String::new();
        for (i, value) in graph.operands(node).iter().enumerate() {
            text.push_str(if i > 0 { ", " } else { "" });
            name(*value, &mut text);
        }
        text
    };
    let had = operands(before, was, old);
    if had != operands(after, now, &plain) {
        changes.push(format!("operands were {had}"));
    }
    if before.device(was) != after.device(now) {
        let device = before.device(was).map(|d| d.to_string());
        changes.push(format!(
            "was on {}",
            device.as_deref().unwrap_or("no device")
        ));
    }
    let (had, has) = (origins(before, was), origins(after, now));
    if had != has {
        let came = has.iter().filter(|o| !had.contains(o)).count();
        let went = had.iter().filter(|o| !has.contains(o)).count();
        match (came, went) {
            (came, 0) => changes.push(format!("stands for {came} more")),
            (0, went) => changes.push(format!("stands for {went} less")),
            (came, went) => changes.push(format!("stands for {came} others, for {went} no more")),
        }
    }
    changes.join("; ")
}

fn diff_outputs(
    before: &Graph,
    after: &Graph,
    matching: &Matching,
    old: &impl Fn(Value, &mut String),
    out: &mut String,
) {
    let now: FxHashMap<_, Value> = after.outputs().iter().map(|o| (&o.key, o.value)).collect();
    let was: FxHashMap<_, Value> = before.outputs().iter().map(|o| (&o.key, o.value)).collect();
    let line = |sign: char, key, text: &str, out: &mut String| {
        let _ = write!(out, "{sign} ");
        print_key(key, out);
        let _ = writeln!(out, " = {text}");
    };
    for output in before.outputs() {
        let mut text = String::new();
        old(output.value, &mut text);
        match now.get(&output.key) {
            None => line('-', &output.key, &text, out),
            Some(value) if matching.now(before, after, output.value) != Some(*value) => {
                line('~', &output.key, &format!("{value}  (was {text})"), out);
            }
            Some(_) => {}
        }
    }
    for output in after.outputs().iter().filter(|o| !was.contains_key(&o.key)) {
        line('+', &output.key, &output.value.to_string(), out);
    }
}
