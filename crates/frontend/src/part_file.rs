//! A part that is a graph in a file: its nodes and states go over into the model.

use syncarp_ir::core_ops::{INPUT, STATE, STEP_INPUT};
use syncarp_ir::{
    Attr, Attrs, Graph, Initial, Node, Origin, OutputKey, Plan, ProvenanceId, Purity, State,
    StateEntry, StateKind, StreamKey, TRAIN, TensorType, Value,
};

use crate::context::join;
use crate::draft::{Draft, MODEL};

/// Appends the graph of a plan of one model. Its first input becomes `input`, its states get
/// `prefix` before their paths, and its first result is given back. Losses, metrics and other
/// results are left out.
///
/// # Errors
/// A message that says what about the file does not fit.
pub(crate) fn append(
    draft: &mut Draft<'_>,
    plan: &Plan,
    prefix: &str,
    input: Value,
) -> Result<Value, String> {
    if plan.models.len() != 1 {
        return Err(format!(
            "has {} models; a part is one model",
            plan.models.len()
        ));
    }
    let graph = match (plan.graph(TRAIN), &plan.graphs[..]) {
        (Some(graph), _) | (None, [(_, graph)]) => graph,
        (None, graphs) => {
            return Err(format!(
                "has {} graphs, none of them called \"{TRAIN}\"",
                graphs.len()
            ));
        }
    };
    let is_result = |key: &OutputKey| matches!(key, OutputKey::Result(..));
    let result = graph.outputs().iter().find(|output| is_result(&output.key));
    let result = result.ok_or("gives back no result")?.value;
    let keep = kept(graph, result);
    let first = first_input(graph, &keep)?;
    let states = copy_states(draft, plan, graph, &keep, prefix)?;
    let mut copy = Copy {
        draft,
        graph,
        prefix,
        first,
        input,
        states: &states,
    };
    let mut values: Vec<Option<Value>> = vec![None; graph.value_count()];
    let mut sets: Vec<Option<ProvenanceId>> = vec![None; graph.provenance().len()];
    let before = copy.draft.b.context();
    let done = graph
        .nodes()
        .filter(|node| keep[node.index()])
        .try_for_each(|node| copy.node(node, &mut values, &mut sets));
    copy.draft.b.set_context(before);
    done?;
    for output in graph.outputs() {
        if let (OutputKey::Update(state), Some(value)) = (&output.key, values[output.value.index()])
            && let Some(state) = states[state.index()]
        {
            draft.updates.push((state, value));
        }
    }
    values[result.index()].ok_or_else(|| "gives back no result".to_owned())
}

/// What the result and the updates of states need, and opaque nodes, which are never dropped.
fn kept(graph: &Graph, result: Value) -> Vec<bool> {
    let mut keep = vec![false; graph.len()];
    keep[graph.def(result).index()] = true;
    for output in graph.outputs() {
        if matches!(output.key, OutputKey::Update(_)) {
            keep[graph.def(output.value).index()] = true;
        }
    }
    for node in graph.nodes().rev() {
        keep[node.index()] |= graph.op(node).purity() == Purity::Opaque;
        if keep[node.index()] {
            for value in graph.operands(node) {
                keep[graph.def(*value).index()] = true;
            }
        }
    }
    keep
}

/// The name of an input that data gives; none for other nodes and the number of the step.
fn data_input(graph: &Graph, node: Node) -> Option<&str> {
    let name = graph
        .attrs(node)
        .str("name")
        .filter(|_| graph.op_name(node) == INPUT)?;
    (**name != *STEP_INPUT).then_some(name)
}

fn first_input<'g>(graph: &'g Graph, keep: &[bool]) -> Result<&'g str, String> {
    let mut inputs = graph.nodes().filter(|node| keep[node.index()]);
    let first = inputs.find_map(|node| data_input(graph, node));
    first.ok_or_else(|| "reads no input".to_owned())
}

/// Enters those states that the graph still reads; for each state of the plan its new one.
fn copy_states(
    draft: &mut Draft<'_>,
    plan: &Plan,
    graph: &Graph,
    keep: &[bool],
    prefix: &str,
) -> Result<Vec<Option<State>>, String> {
    let mut read = vec![false; plan.states.len()];
    for node in graph.nodes().filter(|node| keep[node.index()]) {
        if let Some(state) = graph
            .attrs(node)
            .state("of")
            .filter(|_| graph.op_name(node) == STATE)
        {
            read[state.index()] = true;
        }
    }
    for output in graph.outputs() {
        if let OutputKey::Update(state) = output.key {
            read[state.index()] = true;
        }
    }
    let mut states: Vec<Option<State>> = vec![None; plan.states.len()];
    for (path, state) in &plan.models[MODEL].states {
        if !read[state.index()] {
            continue;
        }
        let path = join(prefix, path);
        if !draft.claim(&path) {
            return Err(format!("its state `{path}` has the path of something else"));
        }
        if let Some(known) = states[state.index()] {
            draft.plan.models[MODEL].states.push((path.into(), known));
            continue;
        }
        let entry = plan.state(*state);
        if entry.kind == StateKind::Slot {
            return Err(format!(
                "`{path}` is an optimizer's; a part is a model before training"
            ));
        }
        let initial = match &entry.initial {
            Initial::Init(distribution, stream) => {
                Initial::Init(distribution.clone(), prefixed(stream, prefix))
            }
            Initial::Content(hash) => {
                let data = plan.contents.get(hash);
                let data = data.ok_or_else(|| {
                    format!("the weights of `{path}` are not there; they lie beside the file, in safetensors")
                })?;
                draft.plan.contents.insert(hash.clone(), data.clone());
                Initial::Content(hash.clone())
            }
        };
        let owner = entry.owner.map(|_| Draft::model());
        let entry = StateEntry {
            ty: entry.ty.clone(),
            kind: entry.kind,
            owner,
            initial,
        };
        states[state.index()] = Some(draft.plan.add_state(Draft::model(), &path, entry));
    }
    Ok(states)
}

fn prefixed(stream: &StreamKey, prefix: &str) -> StreamKey {
    StreamKey {
        path: join(prefix, &stream.path).into(),
        ..stream.clone()
    }
}

struct Copy<'c, 'a, 'g> {
    draft: &'c mut Draft<'a>,
    graph: &'g Graph,
    prefix: &'c str,
    first: &'g str,
    input: Value,
    states: &'c [Option<State>],
}

impl Copy<'_, '_, '_> {
    fn node(
        &mut self,
        node: Node,
        values: &mut [Option<Value>],
        sets: &mut [Option<ProvenanceId>],
    ) -> Result<(), String> {
        if self.graph.op_name(node) == INPUT {
            let value = self.input_node(node)?;
            values[self.graph.result(node, 0).index()] = Some(value);
            return Ok(());
        }
        self.origin(node, sets);
        let operands: Option<Vec<Value>> = self
            .graph
            .operands(node)
            .iter()
            .map(|v| values[v.index()])
            .collect();
        let operands = operands.ok_or("uses a value that is not kept")?;
        let stated: Vec<TensorType> = self
            .graph
            .results(node)
            .map(|v| self.graph.ty(v).clone())
            .collect();
        let op = self.graph.op_id(node);
        let attrs = self.attrs(node)?;
        let made = self.draft.b.emit_id(op, &operands, attrs, Some(&stated));
        let made = made.map_err(|error| format!("with this incoming value, {node}: {error}"))?;
        for (old, new) in self.graph.results(node).zip(made) {
            values[old.index()] = Some(new);
        }
        Ok(())
    }

    fn input_node(&mut self, node: Node) -> Result<Value, String> {
        let ty = self.graph.ty(self.graph.result(node, 0));
        if self.graph.attrs(node).bool("coefficient") == Some(true) {
            return Err("reads a coefficient of an evaluator; a part is a model alone".to_owned());
        }
        let value = match data_input(self.graph, node) {
            None => self.draft.step().map_err(|error| error.to_string())?,
            Some(name) if name == self.first => self.input,
            Some(name) if self.draft.has_column(name) => {
                self.draft.input(name).map_err(|error| error.to_string())?
            }
            Some(name) => return Err(format!("reads `{name}`, which the data does not have")),
        };
        let given = self.draft.b.ty(value);
        if given.meet(ty).is_none() {
            return Err(format!(
                "reads {ty}, but the incoming value is {given}; the batch dim is written `n`"
            ));
        }
        Ok(value)
    }

    /// Marks nodes to come as coming from where a node of the file comes from, under the prefix.
    fn origin(&mut self, node: Node, sets: &mut [Option<ProvenanceId>]) {
        let old = self.graph.provenance_id(node);
        let provenance = match sets[old.index()] {
            Some(provenance) => provenance,
            None => {
                let table = self.graph.provenance();
                let new = self.draft.b.provenance_mut();
                let mut set: Vec<Origin> = table
                    .set(old)
                    .iter()
                    .map(|origin| Origin {
                        model: Draft::model(),
                        path: new.intern_path(&join(self.prefix, table.path(origin.path))),
                        role: origin.role,
                    })
                    .collect();
                set.sort_unstable();
                set.dedup();
                *sets[old.index()].insert(new.intern_sorted(&set))
            }
        };
        self.draft.b.set_context(syncarp_ir::Context {
            provenance,
            device: None,
        });
    }

    fn attrs(&self, node: Node) -> Result<Attrs, String> {
        let mut missing = false;
        let attrs = self.graph.attrs(node).map(|value| match value {
            Attr::State(state) => match self.states[state.index()] {
                Some(state) => Attr::State(state),
                None => {
                    missing = true;
                    value.clone()
                }
            },
            Attr::Stream(stream) => Attr::Stream(prefixed(stream, self.prefix)),
            Attr::Model(_) => Attr::Model(Draft::model()),
            other => other.clone(),
        });
        match missing {
            true => Err(format!("{node} reads a state that its model does not list")),
            false => Ok(attrs),
        }
    }
}
