//! A part that is a graph in a file: its nodes and states go over into the model.

use std::collections::BTreeSet;

use syncarp_ir::core_ops::{INPUT, STATE, STEP_INPUT};
use syncarp_ir::{
    Attr, Attrs, Graph, Initial, Node, Origin, OutputKey, Plan, ProvenanceId, Purity, State,
    StateEntry, StateKind, StreamKey, TRAIN, TensorType, Value,
};

use crate::context::join;
use crate::cut;
use crate::draft::{Draft, MODEL};

/// What comes into a part.
#[derive(Clone, Copy)]
pub(crate) struct Incoming {
    pub value: Value,
    /// Whether it is a column of the data as it is.
    pub is_data: bool,
}

/// The graph of a plan of one model that is appended, and the value of it that is given back: its
/// first result, or that of a module or node.
fn parts<'p>(plan: &'p Plan, cut: Option<&str>) -> Result<(&'p Graph, Value), String> {
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
    if let Some(cut) = cut {
        return Ok((graph, cut::value(graph, cut)?));
    }
    let is_result = |key: &OutputKey| matches!(key, OutputKey::Result(..));
    let result = graph.outputs().iter().find(|output| is_result(&output.key));
    let result = result.ok_or("gives back no result")?.value;
    Ok((graph, result))
}

/// The names of the inputs that the graph of a plan reads, in order of first appearance.
///
/// # Errors
/// A message that says what about the file does not fit.
pub(crate) fn inputs(plan: &Plan, cut: Option<&str>) -> Result<Vec<String>, String> {
    let (graph, result) = parts(plan, cut)?;
    let keep = kept(plan, graph, result, cut.is_some()).nodes;
    let mut names: Vec<String> = Vec::new();
    for node in graph.nodes().filter(|node| keep[node.index()]) {
        if let Some(name) = data_input(graph, node)
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    match names.is_empty() {
        true => Err("reads no input".to_owned()),
        false => Ok(names),
    }
}

/// What each input of a file is. A single one is the incoming value. Of several, those that are
/// called like a column of the data are that column, and the others take the columns that are left,
/// in order; but where other parts come before, the first is what comes from them.
///
/// # Errors
/// A message that names an input for which there is no column.
pub(crate) fn assign(
    draft: &mut Draft<'_>,
    names: Vec<String>,
    incoming: Incoming,
) -> Result<Vec<(String, Value)>, String> {
    let Some(first) = names.first().cloned() else {
        return Err("reads no input".to_owned());
    };
    let alone = names.len() == 1;
    let takes_incoming = |name: &str| alone || (!incoming.is_data && name == first);
    let mut left = draft.columns_but_target();
    left.retain(|column| !names.contains(column));
    if !incoming.is_data {
        // What the model begins with is that column already.
        let begins = draft.first_input().map_err(|error| error.to_string())?;
        left.retain(|column| *column != begins);
    }
    let mut left = left.into_iter();
    let mut inputs = Vec::with_capacity(names.len());
    for name in names {
        let value = if takes_incoming(&name) {
            incoming.value
        } else {
            let column = match draft.has_column(&name) {
                true => Some(name.clone()),
                false => left.next(),
            };
            let column =
                column.ok_or_else(|| format!("reads `{name}`, which the data does not have"))?;
            draft.input(&column).map_err(|error| error.to_string())?
        };
        inputs.push((name, value));
    }
    Ok(inputs)
}

/// Appends the graph of a plan of one model. `inputs` are what its inputs become, its states get
/// `prefix` before their paths, and its first result or the value at the cut is given back. Losses, metrics and other
/// results are left out: a model is judged by one result.
///
/// # Errors
/// A message that says what about the file does not fit.
pub(crate) fn append(
    draft: &mut Draft<'_>,
    plan: &Plan,
    prefix: &str,
    cut: Option<&str>,
    inputs: &[(String, Value)],
) -> Result<Value, String> {
    let (graph, result) = parts(plan, cut)?;
    let kept = kept(plan, graph, result, cut.is_some());
    let keep = &kept.nodes;
    let states = copy_states(draft, plan, graph, &kept, prefix)?;
    let mut copy = Copy {
        draft,
        graph,
        prefix,
        inputs,
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
            draft.update(state, value);
        }
    }
    values[result.index()].ok_or_else(|| "gives back no result".to_owned())
}

/// What of a plan goes over into the model.
struct Kept {
    /// By node.
    nodes: Vec<bool>,
    /// By state. States that no node reads stay where their module stays: they belong to what is
    /// saved of it.
    states: Vec<bool>,
}

/// What the result and the updates of states need, and opaque nodes, which are never dropped. Of a
/// graph that is cut, only what belongs to modules before the cut.
fn kept(plan: &Plan, graph: &Graph, result: Value, cut: bool) -> Kept {
    let mut nodes = vec![false; graph.len()];
    nodes[graph.def(result).index()] = true;
    if !cut {
        for node in graph.nodes() {
            nodes[node.index()] |= graph.op(node).purity() == Purity::Opaque;
        }
    }
    close(graph, &mut nodes);
    let mut states = vec![!cut; plan.states.len()];
    if cut {
        let read = |node: Node| {
            let state = graph.attrs(node).state("of");
            state.filter(|_| nodes[node.index()] && graph.op_name(node) == STATE)
        };
        for state in graph.nodes().filter_map(read) {
            states[state.index()] = true;
        }
        let named = &plan.models[MODEL].states;
        let here = named.iter().filter(|(_, state)| states[state.index()]);
        let modules: BTreeSet<&str> = here.map(|(path, _)| module(path)).collect();
        for (path, state) in named {
            states[state.index()] |= modules.contains(module(path));
        }
    }
    for output in graph.outputs() {
        if let OutputKey::Update(state) = output.key
            && states[state.index()]
        {
            nodes[graph.def(output.value).index()] = true;
        }
    }
    close(graph, &mut nodes);
    Kept { nodes, states }
}

/// Adds what nodes need.
fn close(graph: &Graph, nodes: &mut [bool]) {
    for node in graph.nodes().rev() {
        if nodes[node.index()] {
            for value in graph.operands(node) {
                nodes[graph.def(*value).index()] = true;
            }
        }
    }
}

/// The path of the module that a state belongs to.
fn module(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(module, _)| module)
}

/// The name of an input that data gives; none for other nodes, the number of the step and what an
/// evaluator gives.
fn data_input(graph: &Graph, node: Node) -> Option<&str> {
    let attrs = graph.attrs(node);
    let name = attrs.str("name").filter(|_| graph.op_name(node) == INPUT)?;
    let data = **name != *STEP_INPUT && attrs.bool("coefficient") != Some(true);
    data.then_some(name)
}

/// Enters the states that are kept; for each state of the plan its new one.
fn copy_states(
    draft: &mut Draft<'_>,
    plan: &Plan,
    graph: &Graph,
    kept: &Kept,
    prefix: &str,
) -> Result<Vec<Option<State>>, String> {
    let mut changes = vec![false; plan.states.len()];
    for node in graph.nodes().filter(|node| kept.nodes[node.index()]) {
        let state = graph.attrs(node).state("of");
        if let Some(state) = state.filter(|_| graph.op_name(node) == STATE) {
            changes[state.index()] = true;
        }
    }
    for output in graph.outputs() {
        if let OutputKey::Update(state) = output.key {
            changes[state.index()] = true;
        }
    }
    let mut states: Vec<Option<State>> = vec![None; plan.states.len()];
    for (path, state) in &plan.models[MODEL].states {
        if !kept.states[state.index()] {
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
        // What nobody reads nobody trains; it is there to be saved with the rest.
        let kind = match changes[state.index()] {
            true => entry.kind,
            false => StateKind::Frozen,
        };
        let owner = (kind != StateKind::Frozen).then(Draft::model);
        let entry = StateEntry {
            ty: entry.ty.clone(),
            kind,
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
    inputs: &'c [(String, Value)],
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
            Some(name) => {
                let found = self.inputs.iter().find(|(known, _)| known == name);
                let (_, value) = found.ok_or_else(|| format!("reads `{name}` as well"))?;
                *value
            }
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
