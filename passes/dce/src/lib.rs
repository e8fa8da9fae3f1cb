//! `dce`: drops what nothing needs.

use syncarp_ir::{Exactness, Graph, Plan, Purity, Rewriter};
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
            let keep = needed(graph);
            let dropped = keep.iter().filter(|k| !**k).count();
            if dropped == 0 {
                continue;
            }
            cx.count("dropped", dropped as u64);
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

/// For every node, whether an output or an opaque node needs it.
fn needed(graph: &Graph) -> Vec<bool> {
    let mut keep = graph.live();
    for node in graph.nodes().rev() {
        if graph.op(node).purity() == Purity::Opaque {
            keep[node.index()] = true;
        }
        if keep[node.index()] {
            for value in graph.operands(node) {
                keep[graph.def(*value).index()] = true;
            }
        }
    }
    keep
}
