//! `cse`: shares equal nodes, across models and within one.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use syncarp_ir::core_ops::STATE;
use syncarp_ir::{Exactness, Graph, Node, Plan, Purity, Rewriter, StateKind, TRAIN, Value};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |_| Ok(Box::new(Cse)))
}

const DOC: PassDoc = PassDoc {
    name: "cse",
    doc: "Shares nodes of one op with equal attributes and equal operands in order, streams and \
          devices included. Before differentiation, what depends on a trainable parameter is left \
          as it is, since joining it would sum gradients in another order.",
    stage: Stage::Any,
    exactness: Exactness::Bitwise,
    options: &[],
};

struct Cse;

impl Pass for Cse {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let mut changed = false;
        let states = &plan.states;
        for (name, graph) in &mut plan.graphs {
            let left_alone = if **name == *TRAIN {
                trained(graph, |s| states[s].kind == StateKind::Trainable)
            } else {
                vec![false; graph.len()]
            };
            if let Some(new) = share(graph, &left_alone, cx)? {
                *graph = new;
                changed = true;
            }
        }
        Ok(Changed::from_bool(changed))
    }
}

/// For every node, whether a trainable parameter lies in its cone.
fn trained(graph: &Graph, trainable: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut trained = vec![false; graph.len()];
    for node in graph.nodes() {
        let own = graph.op_name(node) == STATE
            && graph
                .attrs(node)
                .state("of")
                .is_some_and(|s| trainable(s.index()));
        let below = graph
            .operands(node)
            .iter()
            .any(|v| trained[graph.def(*v).index()]);
        trained[node.index()] = own || below;
    }
    trained
}

fn share(
    graph: &Graph,
    left_alone: &[bool],
    cx: &mut Context<'_>,
) -> Result<Option<Graph>, PassError> {
    let mut rw = Rewriter::new(graph);
    let mut table: HashTable<(u64, Node)> = HashTable::new();
    let mut shared = 0;
    for node in graph.nodes() {
        if left_alone[node.index()] || graph.op(node).purity() == Purity::Opaque {
            rw.copy(node);
            continue;
        }
        let operands = rw.operands(node);
        let device = graph.device(node);
        let key = (
            graph.op_id(node),
            graph.attrs_id(node),
            device,
            &operands[..],
        );
        let hash = FxBuildHasher.hash_one(key);
        // Equal operands in the new graph, whatever nodes gave them in the old one.
        let found = table.find(hash, |(h, other)| {
            *h == hash
                && graph.op_id(*other) == graph.op_id(node)
                && graph.attrs_id(*other) == graph.attrs_id(node)
                && graph.device(*other) == device
                && rw.operands(*other) == operands
        });
        match found {
            Some((_, other)) => {
                let values: Vec<Value> = graph.results(*other).map(|v| rw.get(v)).collect();
                rw.replace(node, &values)?;
                shared += 1;
            }
            None => {
                rw.copy(node);
                table.insert_unique(hash, (hash, node), |(h, _)| *h);
            }
        }
    }
    if shared == 0 {
        return Ok(None);
    }
    cx.count("shared", shared);
    rw.copy_outputs();
    Ok(Some(rw.finish()))
}
