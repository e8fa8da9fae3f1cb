//! `to-eval`: makes the graph that evaluates from the one that trains.

use syncarp_ir::{EVAL, Exactness, OutputKey, Plan, Rewriter, TRAIN};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |_| Ok(Box::new(ToEval)))
}

const DOC: PassDoc = PassDoc {
    name: "to-eval",
    doc: "Where a plan has a graph that trains and none that evaluates, makes the second from the \
          first: dropout is the identity, norms take their running statistics, no state moves.",
    stage: Stage::Any,
    exactness: Exactness::Bitwise,
    options: &[],
};

struct ToEval;

impl Pass for ToEval {
    fn run(&self, plan: &mut Plan, _: &mut Context<'_>) -> Result<Changed, PassError> {
        if plan.graph(EVAL).is_some() {
            return Ok(Changed::No);
        }
        let Some(train) = plan.graph(TRAIN) else {
            return Ok(Changed::No);
        };
        let mut rw = Rewriter::new(train);
        for node in train.nodes() {
            if !rw.to_eval(node)? {
                rw.copy(node);
            }
        }
        for output in train.outputs() {
            if !matches!(output.key, OutputKey::Update(_)) {
                let value = rw.get(output.value);
                rw.output(output.key.clone(), value);
            }
        }
        let eval = rw.finish();
        plan.set_graph(EVAL, eval);
        Ok(Changed::Yes)
    }
}
