//! What models cost, estimated from their nodes at the batch size of their data stream.

use syncarp_ir::{Bindings, Graph, Plan, STEP, TRAIN};

/// What one model costs alone on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModelCost {
    /// Work of a step, in FLOPs or their equal in traffic and calls.
    pub work: u64,
    /// Bytes of states and of values that are alive at once, at most.
    pub bytes: u64,
}

/// What a call costs beside its arithmetic, in FLOPs.
const CALL: u64 = 400;

/// The graph that the cost is estimated from: the one that trains, or the only one.
pub(crate) fn main_graph(plan: &Plan) -> Option<&Graph> {
    plan.graph(STEP)
        .or_else(|| plan.graph(TRAIN))
        .or_else(|| plan.graphs.first().map(|(_, g)| g))
}

/// The costs of all models. Work that several models share is split evenly, bytes too, since what
/// is shared is there once.
pub(crate) fn model_costs(plan: &Plan, batch_sizes: &[u64]) -> Vec<ModelCost> {
    let mut costs = vec![ModelCost::default(); plan.models.len()];
    let Some(graph) = main_graph(plan) else {
        return costs;
    };
    let bindings: Vec<Bindings> = batch_sizes
        .iter()
        .map(|n| Bindings::from([("n".into(), *n)]))
        .collect();
    let none = Bindings::new();
    for node in graph.nodes() {
        let models: Vec<_> = graph.models(node).collect();
        let Some(first) = models.first() else {
            continue;
        };
        let bindings = bindings.get(first.index()).unwrap_or(&none);
        let cost = graph.cost(node, bindings).unwrap_or_default();
        // Three times the forward's work: the forward itself and two products in the backward.
        let work = (3 * cost.flops + cost.bytes / 2 + CALL) / models.len() as u64;
        // A value and its gradient, until liveness knows better.
        let bytes = 2 * cost.bytes / models.len() as u64;
        for model in models {
            costs[model.index()].work += work;
            costs[model.index()].bytes += bytes;
        }
    }
    costs
}
