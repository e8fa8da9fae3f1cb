//! What models take in.

use std::sync::Arc;

use syncarp_ir::core_ops::{INPUT, STEP_INPUT};
use syncarp_ir::{Graph, Node, TensorType};

/// The data inputs of a graph by name, in order of first appearance.
pub(crate) fn data_inputs(graph: &Graph) -> Vec<(Arc<str>, TensorType)> {
    let mut inputs: Vec<(Arc<str>, TensorType)> = Vec::new();
    for (name, node) in named_inputs(graph) {
        let known = inputs.iter().any(|(n, _)| *n == name);
        if !known && &*name != STEP_INPUT {
            inputs.push((name, graph.ty(graph.result(node, 0)).clone()));
        }
    }
    inputs
}

/// Inputs that are not an evaluator's, with their names.
pub(crate) fn named_inputs(graph: &Graph) -> Vec<(Arc<str>, Node)> {
    let nodes = graph.nodes().filter(|node| graph.op_name(*node) == INPUT);
    let nodes = nodes.filter(|n| graph.attrs(*n).bool("coefficient") != Some(true));
    nodes
        .map(|n| (graph.attrs(n).str("name").cloned().unwrap_or_default(), n))
        .collect()
}
