//! `dedup-input`: joins equal inputs of models with equal data streams.

use rustc_hash::FxHashMap;
use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{Attrs, Data, Exactness, Plan, Rewriter, Value};
use syncarp_pass::{
    Changed, Context, Pass, PassDoc, PassError, PassRegistry, RegisterError, Stage,
};

/// Adds the pass.
///
/// # Errors
/// Where the name is taken.
pub fn register(registry: &mut PassRegistry) -> Result<(), RegisterError> {
    registry.register(DOC, |_| Ok(Box::new(DedupInput)))
}

const DOC: PassDoc = PassDoc {
    name: "dedup-input",
    doc: "Joins inputs of one name and type of models whose data streams are equal into the first \
          model's. Coefficients stay apart: they are each evaluator's own.",
    stage: Stage::Logical,
    exactness: Exactness::Bitwise,
    options: &[],
};

struct DedupInput;

impl Pass for DedupInput {
    fn run(&self, plan: &mut Plan, cx: &mut Context<'_>) -> Result<Changed, PassError> {
        let mut changed = false;
        let models = &plan.models;
        for (_, graph) in &mut plan.graphs {
            let mut first: FxHashMap<(Data, Attrs), Value> = FxHashMap::default();
            let mut joined = 0;
            let mut rw = Rewriter::new(graph);
            for node in graph.nodes() {
                let attrs = graph.attrs(node);
                let data = (graph.op_name(node) == INPUT
                    && attrs.bool("coefficient") != Some(true))
                .then(|| attrs.model("model"))
                .flatten()
                .and_then(|m| models[m.index()].data);
                let Some(data) = data else {
                    rw.copy(node);
                    continue;
                };
                let key = (data, attrs.clone().with("model", syncarp_ir::Model::new(0)));
                match first.get(&key) {
                    Some(value) => {
                        let value = *value;
                        rw.replace(node, &[value])?;
                        joined += 1;
                    }
                    None => {
                        first.insert(key, rw.copy(node)[0]);
                    }
                }
            }
            if joined > 0 {
                changed = true;
                cx.count("joined", joined);
                rw.copy_outputs();
                *graph = rw.finish();
            }
        }
        Ok(Changed::from_bool(changed))
    }
}
