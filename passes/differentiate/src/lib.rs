//! `differentiate`: reverse mode, source to source. The training graph becomes the step graph.
//!
//! Every model's backward is its own subgraph, since what depends on a trainable parameter belongs
//! to that parameter's one owner. Contributions to one gradient are summed in the source's order.

mod backward;
mod update;

use syncarp_ir::{Exactness, OutputKey, Plan, Rewriter, STEP, TRAIN};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

pub use backward::backward;

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |_| Ok(Box::new(Differentiate)))
}

const DOC: PassDoc = PassDoc {
    name: "differentiate",
    doc: "Makes the graph of one training step from the graph that trains: losses, gradients of \
          every trainable parameter, clipping, optimizer updates and updates of buffers.",
    stage: Stage::Assembly,
    exactness: Exactness::Bitwise,
    options: &[],
};

struct Differentiate;

impl Pass for Differentiate {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let Some(train) = plan.take_graph(TRAIN) else {
            return Err(PassError::Unready("there is no graph \"train\"".to_owned()));
        };
        let mut rw = Rewriter::new(&train);
        let wanted = |key: &OutputKey| matches!(key, OutputKey::Loss(_) | OutputKey::Update(_));
        let mut live = vec![false; train.len()];
        for output in train.outputs().iter().filter(|o| wanted(&o.key)) {
            live[train.def(output.value).index()] = true;
        }
        for node in train.nodes().rev() {
            if live[node.index()] {
                for value in train.operands(node) {
                    live[train.def(*value).index()] = true;
                }
            }
        }
        for node in train.nodes().filter(|n| live[n.index()]) {
            rw.copy(node);
        }
        for output in train.outputs().iter().filter(|o| wanted(&o.key)) {
            let value = rw.get(output.value);
            rw.output(output.key.clone(), value);
        }
        let gradients = backward(&mut rw, &live, plan)?;
        cx.count("gradients", gradients.len() as u64);
        update::update(&mut rw, plan, &gradients, cx)?;
        let step = rw.finish();
        plan.set_graph(STEP, step);
        Ok(Changed::Yes)
    }
}
