//! `cse`: shares equal nodes, across models and within one.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use syncarp_ir::core_ops::STATE;
use syncarp_ir::{Exactness, Graph, Node, Op, Plan, Purity, Rewriter, StateKind, TRAIN, Value};
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
                Vec::new()
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
    let state_op = graph.registry().find(STATE);
    let mut trained = vec![false; graph.len()];
    for node in graph.nodes() {
        let own = Some(graph.op_id(node)) == state_op
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

/// A node of the new graph by its hash, of which only half is kept.
type Entry = (u32, Node);

/// The hash of an entry, from the half that is kept, spread over all bits.
fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The graph with equal nodes shared; none where there are no equal ones. `left_alone` marks nodes
/// that stay as they are; it is empty where there are none.
fn share(
    graph: &Graph,
    left_alone: &[bool],
    cx: &mut Context<'_>,
) -> Result<Option<Graph>, PassError> {
    let opaque = |op: &dyn Op| op.purity() == Purity::Opaque;
    let opaque: Vec<bool> = graph.registry().iter().map(|(_, op)| opaque(op)).collect();
    let mut rw = Rewriter::new(graph);
    let mut table: HashTable<Entry> = HashTable::with_capacity(graph.len());
    let mut shared = 0;
    for node in graph.nodes() {
        let (op, attrs, device) = (graph.op_id(node), graph.attrs_id(node), graph.device(node));
        if left_alone.get(node.index()) == Some(&true) || opaque[op.index()] {
            rw.copy(node);
            continue;
        }
        // Equal operands in the new graph, whatever nodes gave them in the old one.
        let operands = rw.operands(node);
        let half = (FxBuildHasher.hash_one((op, attrs, device, &operands[..])) >> 32) as u32;
        let new = rw.graph();
        let found = table.find(spread(half), |(h, other)| {
            *h == half
                && new.op_id(*other) == op
                && new.attrs_id(*other) == attrs
                && new.device(*other) == device
                && new.operands(*other) == &operands[..]
        });
        match found {
            Some((_, other)) if cx.may_rewrite() => {
                let values: SmallVec<[Value; 2]> = new.results(*other).collect();
                rw.replace(node, &values)?;
                shared += 1;
            }
            Some(_) => {
                rw.copy(node);
            }
            None => {
                let copied = rw.copy(node);
                let Some(first) = copied.first() else {
                    continue;
                };
                let entry = (half, rw.graph().def(*first));
                table.insert_unique(spread(half), entry, |(h, _)| spread(*h));
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
