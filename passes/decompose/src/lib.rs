//! `decompose`: replaces ops that the engine lacks by simpler ones.

use syncarp_ir::{Exactness, Graph, Plan, Rewriter};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |_| Ok(Box::new(Decompose)))
}

const DOC: PassDoc = PassDoc {
    name: "decompose",
    doc: "Replaces every op that the engine has no kernel for by its decomposition, until none is \
          left that has one.",
    stage: Stage::Any,
    exactness: Exactness::Bitwise,
    options: &[],
};

/// Decompositions are a few levels deep; a rule that comes back to itself would never end.
const LIMIT: usize = 16;

struct Decompose;

impl Pass for Decompose {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let mut changed = false;
        for (_, graph) in &mut plan.graphs {
            for _ in 0..LIMIT {
                let Some(new) = round(graph, cx)? else { break };
                *graph = new;
                changed = true;
            }
        }
        Ok(Changed::from_bool(changed))
    }
}

fn round(graph: &Graph, cx: &mut Context<'_>) -> Result<Option<Graph>, PassError> {
    let lacking: Vec<bool> = {
        let registry = graph.registry();
        registry
            .iter()
            .map(|(_, op)| !(cx.has_kernel)(op.name()))
            .collect()
    };
    if !graph.nodes().any(|n| lacking[graph.op_id(n).index()]) {
        return Ok(None);
    }
    let mut rw = Rewriter::new(graph);
    let mut expanded = 0;
    for node in graph.nodes() {
        if lacking[graph.op_id(node).index()] && rw.decompose(node)? {
            expanded += 1;
        } else {
            rw.copy(node);
        }
    }
    if expanded == 0 {
        return Ok(None);
    }
    cx.count("expanded", expanded);
    rw.copy_outputs();
    Ok(Some(rw.finish()))
}
