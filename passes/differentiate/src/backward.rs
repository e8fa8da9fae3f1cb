//! The backward sweep.

use rustc_hash::FxHashMap;
use syncarp_ir::core_ops::STATE;
use syncarp_ir::{
    Attrs, Context, GradientError, Graph, Node, Origin, OutputKey, Plan, ProvenanceId, Rewriter,
    Role, State, StateKind, Value,
};
use syncarp_pass::PassError;

/// Emits the gradients of every loss with respect to the trainable states that it depends on, in
/// the order of the states. `live` marks the nodes that were copied.
///
/// # Errors
/// Where an op on the way has no gradient rule, or a rule emits something wrong.
pub fn backward(
    rw: &mut Rewriter<'_>,
    live: &[bool],
    plan: &Plan,
) -> Result<Vec<(State, Value)>, PassError> {
    let graph = rw.old();
    let moving = moving(graph, plan);
    let mut sweep = Sweep {
        graph,
        contributions: vec![Vec::new(); graph.value_count()],
        roles: FxHashMap::default(),
    };
    for output in graph.outputs() {
        if matches!(output.key, OutputKey::Loss(_)) && moving[output.value.index()] {
            sweep.mark(rw, graph.def(output.value));
            let dtype = graph
                .ty(output.value)
                .dtype
                .unwrap_or(syncarp_ir::DType::F32);
            let one = rw.builder().constant(dtype, 1.0)?;
            sweep.contributions[output.value.index()].push(one);
        }
    }
    let mut states: Vec<(State, Node, Value)> = Vec::new();
    for node in graph.nodes().rev().filter(|n| live[n.index()]) {
        let results: Vec<Value> = graph.results(node).collect();
        if !results
            .iter()
            .any(|v| !sweep.contributions[v.index()].is_empty())
        {
            continue;
        }
        sweep.mark(rw, node);
        let arrived: Vec<Option<Value>> = results
            .iter()
            .map(|v| sweep.total(rw, *v))
            .collect::<Result<_, _>>()?;
        if graph.op_name(node) == STATE {
            if let (Some(state), Some(gradient)) = (graph.attrs(node).state("of"), arrived[0]) {
                states.push((state, node, gradient));
            }
            continue;
        }
        let operands = graph.operands(node);
        let wanted: Vec<bool> = operands.iter().map(|v| moving[v.index()]).collect();
        if graph.op(node).is_constant() || !wanted.contains(&true) {
            continue;
        }
        let given = rw.gradient(node, &arrived, &wanted);
        let given = given.map_err(|error| sweep.error(plan, node, error))?;
        for ((operand, given), wanted) in operands.iter().zip(given).zip(&wanted) {
            if let Some(gradient) = given.filter(|_| *wanted) {
                sweep.contributions[operand.index()].push(gradient);
            }
        }
    }
    sweep.tie(rw, states)
}

/// For every value, whether it moves with a trainable parameter through floats.
fn moving(graph: &Graph, plan: &Plan) -> Vec<bool> {
    let mut moving = vec![false; graph.value_count()];
    for node in graph.nodes() {
        let own = graph.op_name(node) == STATE
            && graph
                .attrs(node)
                .state("of")
                .is_some_and(|s| plan.state(s).kind == StateKind::Trainable);
        let below =
            !graph.op(node).is_constant() && graph.operands(node).iter().any(|v| moving[v.index()]);
        if own || below {
            for value in graph.results(node) {
                moving[value.index()] = graph.ty(value).dtype.is_none_or(|d| d.is_float());
            }
        }
    }
    moving
}

struct Sweep<'g> {
    graph: &'g Graph,
    /// For every old value, the gradients that its users gave it, last user first.
    contributions: Vec<Vec<Value>>,
    /// Provenance sets of forward nodes, as sets of their gradients.
    roles: FxHashMap<ProvenanceId, ProvenanceId>,
}

impl Sweep<'_> {
    /// Marks what is emitted next as the gradient of a node, on the node's device.
    fn mark(&mut self, rw: &mut Rewriter<'_>, node: Node) {
        let forward = self.graph.provenance_id(node);
        let graph = self.graph;
        let provenance = *self.roles.entry(forward).or_insert_with(|| {
            let set = graph.provenance().set(forward).iter();
            let provenance = rw.builder().provenance_mut();
            let mut set: Vec<Origin> = set
                .map(|o| Origin {
                    role: Role::Gradient,
                    ..*o
                })
                .collect();
            set.sort_unstable();
            set.dedup();
            provenance.intern_sorted(&set)
        });
        rw.builder().set_context(Context {
            provenance,
            device: graph.device(node),
        });
    }

    /// The sum of what a value was given, in the source's order.
    fn total(&mut self, rw: &mut Rewriter<'_>, value: Value) -> Result<Option<Value>, PassError> {
        let list = std::mem::take(&mut self.contributions[value.index()]);
        let mut sum: Option<Value> = None;
        for gradient in list.into_iter().rev() {
            sum = Some(match sum {
                None => gradient,
                Some(sum) => rw.builder().emit1("add", &[sum, gradient], Attrs::new())?,
            });
        }
        Ok(sum)
    }

    /// Sums over the several nodes that may read one state: tied parameters.
    fn tie(
        &mut self,
        rw: &mut Rewriter<'_>,
        mut states: Vec<(State, Node, Value)>,
    ) -> Result<Vec<(State, Value)>, PassError> {
        states.sort_by_key(|(state, node, _)| (*state, *node));
        let mut tied: Vec<(State, Value)> = Vec::new();
        for (state, node, gradient) in states {
            match tied.last_mut() {
                Some((last, sum)) if *last == state => {
                    self.mark(rw, node);
                    *sum = rw.builder().emit1("add", &[*sum, gradient], Attrs::new())?;
                }
                _ => tied.push((state, gradient)),
            }
        }
        Ok(tied)
    }

    fn error(&self, plan: &Plan, node: Node, error: GradientError) -> PassError {
        let provenance = self.graph.provenance();
        let set = provenance.set(self.graph.provenance_id(node));
        let path = set.first().map_or_else(
            || node.to_string(),
            |o| {
                format!(
                    "model {:?}, {:?}",
                    plan.model(o.model).name,
                    provenance.path(o.path)
                )
            },
        );
        PassError::Gradient { path, error }
    }
}
