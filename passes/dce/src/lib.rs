//! `dce`: drops what nothing needs.

use syncarp_ir::{Exactness, Graph, Op, Plan, Purity, Rewriter};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |_| Ok(Box::new(Dce)))
}

const DOC: PassDoc = PassDoc {
    name: "dce",
    doc: "Drops every node that no output needs, except opaque ones.",
    stage: Stage::Any,
    exactness: Exactness::Bitwise,
    options: &[],
};

struct Dce;

impl Pass for Dce {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let mut changed = false;
        for (_, graph) in &mut plan.graphs {
            let (keep, dropped) = needed(graph, cx);
            if dropped == 0 {
                continue;
            }
            cx.count("dropped", dropped);
            changed = true;
            let mut rw = Rewriter::new(graph);
            for node in graph.nodes().filter(|n| keep[n.index()]) {
                rw.copy(node);
            }
            rw.copy_outputs();
            *graph = rw.finish();
        }
        Ok(Changed::from_bool(changed))
    }
}

/// For every node, whether it is kept, since an output or an opaque node needs it or no more may be
/// dropped; and how many are not.
fn needed(graph: &Graph, cx: &mut Context<'_>) -> (Vec<bool>, u64) {
    let opaque = |op: &dyn Op| op.purity() == Purity::Opaque;
    let opaque: Vec<bool> = graph.registry().iter().map(|(_, op)| opaque(op)).collect();
    let mut keep = vec![false; graph.len()];
    for output in graph.outputs() {
        keep[graph.def(output.value).index()] = true;
    }
    let mut dropped = 0;
    for node in graph.nodes().rev() {
        let kept = keep[node.index()] || opaque[graph.op_id(node).index()] || !cx.may_rewrite();
        keep[node.index()] = kept;
        if !kept {
            dropped += 1;
            continue;
        }
        for value in graph.operands(node) {
            keep[graph.def(*value).index()] = true;
        }
    }
    (keep, dropped)
}
