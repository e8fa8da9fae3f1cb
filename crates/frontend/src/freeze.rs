//! Freezing: states that nobody changes any more, and eval forms where nothing is left to train.

use std::ops::Range;

use syncarp_diag::{Located, Source};
use syncarp_ir::core_ops::STATE;
use syncarp_ir::{
    BuildError, Graph, Node, OutputKey, Plan, Purity, Rewriter, State, StateKind, TRAIN,
};
use syncarp_sweep::{Part, Spanned, glob_matches};

use crate::draft::MODEL;

/// A part of the model and what of the plan it became.
pub(crate) struct Frozen<'a> {
    pub part: &'a Part,
    /// What stands before the paths in it.
    pub prefix: String,
    /// Its nodes, by index.
    pub nodes: Range<usize>,
    /// Its entries among the model's states.
    pub states: Range<usize>,
}

impl Frozen<'_> {
    /// A path within the part.
    pub fn within<'p>(&self, path: &'p str) -> &'p str {
        let rest = path.strip_prefix(self.prefix.as_str()).unwrap_or(path);
        match self.prefix.is_empty() {
            true => path,
            false => rest.strip_prefix('.').unwrap_or(rest),
        }
    }
}

/// Patterns and which of them matched something.
struct Patterns<'a> {
    patterns: &'a [Spanned<String>],
    used: Vec<bool>,
}

impl<'a> Patterns<'a> {
    fn new(patterns: &'a [Spanned<String>]) -> Self {
        Patterns {
            patterns,
            used: vec![false; patterns.len()],
        }
    }

    /// The patterns that match a name, by place.
    fn matching(&self, name: &str) -> Vec<usize> {
        let fits = |place: &usize| glob_matches(&self.patterns[*place].value, name);
        (0..self.patterns.len()).filter(fits).collect()
    }

    /// Whether any pattern matches a name; those that do count as used.
    fn take(&mut self, name: &str) -> bool {
        let matching = self.matching(name);
        for place in &matching {
            self.used[*place] = true;
        }
        !matching.is_empty()
    }

    fn finish(&self, key: &str, known: &[&str], source: &Source) -> Result<(), Located> {
        let Some(place) = self.used.iter().position(|used| !used) else {
            return Ok(());
        };
        let pattern = &self.patterns[place];
        let message = format!("`{key}` pattern `{}` matches nothing", pattern.value);
        let help = match known.len() {
            0 => "the part has nothing of that kind".to_owned(),
            _ => {
                let shown: Vec<&str> = known.iter().copied().take(12).collect();
                let more = if known.len() > shown.len() {
                    ", ..."
                } else {
                    ""
                };
                format!("there are: {}{more}", shown.join(", "))
            }
        };
        Err(Located::new(source, pattern.span.clone(), message).with_help(help))
    }
}

/// Freezes what the parts' patterns name.
///
/// Under `freeze`, a node with an eval form takes it where all states that it reads match, or where
/// it reads none and its path matches.
///
/// # Errors
/// A pattern matches nothing.
pub(crate) fn apply(plan: &mut Plan, parts: &[Frozen<'_>], source: &Source) -> Result<(), Located> {
    let patterned =
        |f: &&Frozen<'_>| !f.part.freeze.is_empty() || !f.part.freeze_parameters.is_empty();
    if parts.iter().find(patterned).is_none() {
        return Ok(());
    }
    // Which states are frozen with their layers, and which are frozen at all.
    let mut whole = vec![false; plan.states.len()];
    let mut frozen = vec![false; plan.states.len()];
    let mut all: Vec<Patterns<'_>> = Vec::with_capacity(parts.len());
    for part in parts {
        let mut freeze = Patterns::new(&part.part.freeze);
        let mut parameters = Patterns::new(&part.part.freeze_parameters);
        let mut trainable = Vec::new();
        for (path, state) in &plan.models[MODEL].states[part.states.clone()] {
            let name = part.within(path);
            whole[state.index()] |= freeze.take(name);
            frozen[state.index()] |= whole[state.index()];
            if plan.states[state.index()].kind == StateKind::Trainable {
                trainable.push(name);
                frozen[state.index()] |= parameters.take(name);
            }
        }
        parameters.finish("freeze-parameters", &trainable, source)?;
        all.push(freeze);
    }
    for (entry, frozen) in plan.states.iter_mut().zip(&frozen) {
        if *frozen {
            entry.kind = StateKind::Frozen;
            entry.owner = None;
        }
    }
    if let Some(graph) = plan.take_graph(TRAIN) {
        let graph = rewrite(&graph, plan, parts, &whole, &mut all).map_err(|error| {
            let span = parts
                .iter()
                .find(patterned)
                .map_or(0..0, |f| f.part.span.clone());
            Located::new(source, span, format!("cannot be frozen: {error}"))
        })?;
        plan.set_graph(TRAIN, graph);
    }
    for (part, freeze) in parts.iter().zip(&all) {
        let entries = plan.models[MODEL].states[part.states.clone()].iter();
        let names: Vec<&str> = entries.map(|(path, _)| part.within(path)).collect();
        freeze.finish("freeze", &names, source)?;
    }
    Ok(())
}

/// The graph with eval forms where they belong and without updates of what is frozen.
fn rewrite(
    graph: &Graph,
    plan: &Plan,
    parts: &[Frozen<'_>],
    whole: &[bool],
    patterns: &mut [Patterns<'_>],
) -> Result<Graph, BuildError> {
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes() {
        // Parts are in the order of their nodes; the first input is of none.
        let part = parts.partition_point(|p| p.nodes.end <= node.index());
        let part = parts
            .get(part)
            .filter(|p| p.nodes.contains(&node.index()))
            .map(|_| part);
        let matching = match part {
            Some(part) => evaluated(graph, node, &parts[part], whole, &patterns[part]),
            None => None,
        };
        match (matching, part) {
            (Some(matching), Some(part)) if rw.to_eval(node)? => {
                for place in matching {
                    patterns[part].used[place] = true;
                }
            }
            _ => {
                rw.copy(node);
            }
        }
    }
    for output in graph.outputs() {
        if let OutputKey::Update(state) = &output.key
            && plan.state(*state).kind == StateKind::Frozen
        {
            continue;
        }
        let value = rw.get(output.value);
        rw.output(output.key.clone(), value);
    }
    Ok(without_dead(&rw.finish()))
}

/// Whether a node is to take its eval form, if it has one, and which patterns are to thank for it
/// beyond those that matched states.
fn evaluated(
    graph: &Graph,
    node: Node,
    part: &Frozen<'_>,
    whole: &[bool],
    patterns: &Patterns<'_>,
) -> Option<Vec<usize>> {
    if part.part.freeze.is_empty() {
        return None;
    }
    let read = |value: &syncarp_ir::Value| -> Option<State> {
        let def = graph.def(*value);
        graph
            .attrs(def)
            .state("of")
            .filter(|_| graph.op_name(def) == STATE)
    };
    let states: Vec<State> = graph.operands(node).iter().filter_map(read).collect();
    if !states.is_empty() {
        return states.iter().all(|s| whole[s.index()]).then(Vec::new);
    }
    let table = graph.provenance();
    let origins = table.set(graph.provenance_id(node));
    let mut matching: Vec<usize> = origins
        .iter()
        .flat_map(|origin| patterns.matching(part.within(table.path(origin.path))))
        .collect();
    matching.dedup();
    (!matching.is_empty()).then_some(matching)
}

/// The graph without what only the training forms needed.
fn without_dead(graph: &Graph) -> Graph {
    let mut keep = graph.live();
    for node in graph.nodes().rev() {
        keep[node.index()] |= graph.op(node).purity() == Purity::Opaque;
        if keep[node.index()] {
            for value in graph.operands(node) {
                keep[graph.def(*value).index()] = true;
            }
        }
    }
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes().filter(|node| keep[node.index()]) {
        rw.copy(node);
    }
    rw.copy_outputs();
    rw.finish()
}
