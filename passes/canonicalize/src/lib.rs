//! `canonicalize`: gives equal computations one spelling, so that `cse` finds them equal.

mod index;
mod rule;
mod rules;
mod sums;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::LazyLock;

use syncarp_ir::{Exactness, Plan};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

use index::Index;
use walk::Walk;

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    let doc = PassDoc {
        name: "canonicalize",
        doc: &TEXT,
        stage: Stage::Any,
        exactness: Exactness::Bitwise,
        options: &[],
    };
    registry.register(doc, |_| Ok(Box::new(Canonicalize)))
}

const INTRODUCTION: &str = "\
Gives equal computations one spelling, so that `cse` finds them equal, and takes out what does \
nothing. Every rule keeps all bits: sums and products are never put together otherwise. Before \
differentiation, what depends on a trainable parameter is rewritten only where every gradient stays \
the same sum in the same order. One walk, with rules found by op, costs as much as there are nodes; \
each rule's applications are counted by its name. The rules:";

/// What is written about the pass: of each rule, what it says itself.
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let rules = rules::all().map(|rule| format!("\n- `{}`: {}", rule.name, rule.doc));
    format!("{INTRODUCTION}\n{}", rules.collect::<String>())
});

struct Canonicalize;

impl Pass for Canonicalize {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let mut index = Index::default();
        let mut applied = Vec::new();
        let mut changed = false;
        for at in 0..plan.graphs.len() {
            let (name, graph) = &plan.graphs[at];
            if !index.is_for(graph.registry()) {
                index = Index::new(graph.registry());
                applied.resize(index.rules.len(), 0);
            }
            let walk = Walk::new(&index, plan, name, graph, &mut applied);
            if let Some(new) = walk.run(cx)? {
                plan.graphs[at].1 = new;
                changed = true;
            }
        }
        for (rule, times) in index.rules.iter().zip(applied) {
            if times > 0 {
                cx.count(rule.name, times);
            }
        }
        Ok(Changed::from_bool(changed))
    }
}
