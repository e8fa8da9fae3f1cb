//! Where a graph of a file is cut: a module or node of it, found by its path.

use std::collections::BTreeSet;

use syncarp_ir::core_ops::{INPUT, STATE};
use syncarp_ir::{Graph, Node, OutputKey, Value, nearest};

/// How many paths are named in a message.
const NAMED: usize = 12;

/// The value that a module gives to what comes after it.
///
/// # Errors
/// A message that tells which paths there are, where none is called so or it gives several values.
pub(crate) fn value(graph: &Graph, path: &str) -> Result<Value, String> {
    let inside = |node: Node| {
        let source = matches!(graph.op_name(node), INPUT | STATE);
        !source && is_within(path_of(graph, node), path)
    };
    let within: Vec<bool> = graph.nodes().map(inside).collect();
    if !within.contains(&true) {
        return Err(unknown(graph, path));
    }
    let mut used: BTreeSet<Value> = BTreeSet::new();
    for node in graph.nodes().filter(|node| !within[node.index()]) {
        used.extend(graph.operands(node));
    }
    for output in graph.outputs() {
        if !matches!(output.key, OutputKey::Update(_)) {
            used.insert(output.value);
        }
    }
    let from_here = |value: &Value| within[graph.def(*value).index()];
    let given: Vec<Value> = used.into_iter().filter(from_here).collect();
    match given[..] {
        [value] => Ok(value),
        [] => Err(format!(
            "nothing comes after `{path}`, so it gives no value"
        )),
        _ => {
            let types: Vec<String> = given.iter().map(|v| graph.ty(*v).to_string()).collect();
            let (count, types) = (given.len(), types.join(", "));
            Err(format!(
                "`{path}` gives {count} values ({types}); cut at one of the paths in it"
            ))
        }
    }
}

/// The path that a node comes from.
pub(crate) fn path_of(graph: &Graph, node: Node) -> &str {
    let table = graph.provenance();
    let first = table.set(graph.provenance_id(node)).first();
    first.map_or("", |origin| table.path(origin.path))
}

/// Whether a path is another or lies in it.
fn is_within(path: &str, module: &str) -> bool {
    let rest = path.strip_prefix(module);
    !module.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn unknown(graph: &Graph, path: &str) -> String {
    let mut seen = BTreeSet::new();
    let paths = graph.nodes().map(|node| path_of(graph, node));
    let paths: Vec<&str> = paths.filter(|p| !p.is_empty() && seen.insert(*p)).collect();
    let near = nearest(path, paths.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let mut tops: Vec<&str> = Vec::new();
    for path in &paths {
        let top = path.split('.').next().unwrap_or_default();
        if !tops.contains(&top) {
            tops.push(top);
        }
    }
    let more = if tops.len() > NAMED { ", ..." } else { "" };
    let tops: Vec<&str> = tops.into_iter().take(NAMED).collect();
    let known = match tops.is_empty() {
        true => "it has no named modules".to_owned(),
        false => format!("it has {}{more}, and what lies in them", tops.join(", ")),
    };
    format!("has nothing called `{path}` to be cut at{near}; {known}")
}
