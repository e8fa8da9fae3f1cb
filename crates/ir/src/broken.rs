//! Shows what is wrong with a plan inside its printed graphs.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::entity::Node;
use crate::graph::Graph;
use crate::plan::Plan;
use crate::text::{plain, print_node};
use crate::verify::Violation;

/// How many places are shown; whoever broke more will see them once these are mended.
const SHOWN: usize = 20;
/// How many lines stand around a place.
const AROUND: usize = 2;

/// The lines of the graphs around broken invariants, each with what is wrong under it.
pub(crate) fn show(plan: &Plan, violations: &[Violation]) -> String {
    let mut out = String::new();
    for violation in violations.iter().filter(|v| v.graph.is_none()) {
        line(&mut out, "", violation);
    }
    let mut left = SHOWN;
    let mut unshown = 0;
    for (name, graph) in &plan.graphs {
        let of_graph = |v: &&Violation| v.graph.as_deref() == Some(&**name);
        let here: Vec<&Violation> = violations.iter().filter(of_graph).collect();
        if here.is_empty() {
            continue;
        }
        let shown = here.len().min(left);
        left -= shown;
        unshown += here.len() - shown;
        if shown > 0 {
            let _ = writeln!(out, "graph {name:?} {{");
            show_graph(graph, &here[..shown], &mut out);
            out.push_str("}\n");
        }
    }
    if unshown > 0 {
        let _ = writeln!(out, "and {unshown} more");
    }
    out.truncate(out.trim_end().len());
    out
}

fn show_graph(graph: &Graph, violations: &[&Violation], out: &mut String) {
    let mut places: BTreeMap<Node, Vec<&Violation>> = BTreeMap::new();
    for violation in violations {
        match violation.node.filter(|node| node.index() < graph.len()) {
            Some(node) => places.entry(node).or_default().push(violation),
            None => line(out, "  ", violation),
        }
    }
    let mut next = 0;
    for (node, wrong) in &places {
        let from = node.index().saturating_sub(AROUND).max(next);
        if from > next {
            out.push_str("  ...\n");
        }
        for before in from..=node.index() {
            print_node(graph, Node::new(before), &plain, out);
        }
        for violation in wrong {
            line(out, "  ", violation);
        }
        next = node.index() + 1;
    }
    if next < graph.len() {
        out.push_str("  ...\n");
    }
}

fn line(out: &mut String, indent: &str, violation: &Violation) {
    let (number, message) = (violation.invariant, &violation.message);
    let mark = if violation.node.is_some() { '^' } else { '!' };
    let _ = writeln!(out, "{indent}{mark} invariant {number}: {message}");
}
