//! Fusing: submissions in, one logical graph for each kind of graph out.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use syncarp_ir::{
    Appender, Data, Graph, GraphBuilder, Initial, Model, ModelEntry, Plan, Renaming, State,
    StateEntry, StateKind, StreamKey,
};
use thiserror::Error;

use crate::Submission;

/// Why submissions cannot be fused. The fault is the submitter's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FuseError {
    /// A submission's plan holds several models or none.
    #[error("submission {name:?} holds {count} models instead of one")]
    NotOne {
        /// The submission.
        name: Arc<str>,
        /// How many models its plan holds.
        count: usize,
    },
    /// A model lacks a graph that another has.
    #[error("model {name:?} has no graph {graph:?}, but others have")]
    Graph {
        /// The submission.
        name: Arc<str>,
        /// The graph that it lacks.
        graph: Arc<str>,
    },
}

/// What identifies a frozen state: its first value and its type. Nobody changes it, so equal ones
/// are one state, whoever reads it.
type FrozenKey = (String, String);

struct Fusing<'s> {
    model: Model,
    states: &'s [State],
    seed: u64,
}

impl Renaming for Fusing<'_> {
    fn model(&self, _: Model) -> Option<Model> {
        Some(self.model)
    }
    fn state(&self, state: State) -> State {
        self.states[state.index()]
    }
    fn stream(&self, stream: &StreamKey) -> StreamKey {
        stream.bind(self.seed)
    }
}

/// Fuses models, in order, into a plan whose graphs hold all of them side by side. Streams without
/// a seed get the evaluator's. Frozen states with equal content become one.
///
/// # Errors
/// Where a submission is not one model, or has other graphs than the rest.
pub fn fuse(submissions: &[Submission]) -> Result<Plan, FuseError> {
    let mut plan = Plan::default();
    let mut builders: Vec<(Arc<str>, GraphBuilder)> = Vec::new();
    if let Some(first) = submissions.first() {
        for (name, graph) in &first.plan.graphs {
            let empty = Graph::empty(graph.registry().clone());
            builders.push((name.clone(), GraphBuilder::over(empty)));
        }
    }
    let mut streams: FxHashMap<Arc<str>, Data> = FxHashMap::default();
    let mut frozen: FxHashMap<FrozenKey, State> = FxHashMap::default();
    for submission in submissions {
        let source = &*submission.plan;
        if source.models.len() != 1 {
            let (name, count) = (submission.name.clone(), source.models.len());
            return Err(FuseError::NotOne { name, count });
        }
        let lacks = builders
            .iter()
            .find(|(name, _)| source.graph(name).is_none());
        let extra = source
            .graphs
            .iter()
            .find(|(n, _)| !builders.iter().any(|(b, _)| b == n));
        if let Some(graph) = lacks.map(|(n, _)| n).or(extra.map(|(n, _)| n)) {
            let (name, graph) = (submission.name.clone(), graph.clone());
            return Err(FuseError::Graph { name, graph });
        }
        let model = Model::new(plan.models.len());
        let next = Data::new(streams.len());
        let data = *streams.entry(submission.data.clone()).or_insert(next);
        let seed = submission.evaluator.seed;
        let states: Vec<State> = source
            .states
            .iter()
            .map(|entry| add_state(&mut plan.states, &mut frozen, model, entry, seed))
            .collect();
        let paths = source.models[0].states.iter();
        plan.models.push(ModelEntry {
            name: submission.name.clone(),
            data: Some(data),
            states: paths
                .map(|(path, s)| (path.clone(), states[s.index()]))
                .collect(),
        });
        plan.contents
            .extend(source.contents.iter().map(|(k, v)| (k.clone(), v.clone())));
        let renaming = Fusing {
            model,
            states: &states,
            seed,
        };
        for (name, b) in &mut builders {
            let graph = source.graph(name).expect("every graph was looked up above");
            let mut appender = Appender::new(graph);
            appender.append(b, graph.nodes(), &renaming);
            for output in graph.outputs() {
                let key = output.key.map(|_| model, |s| states[s.index()]);
                let value = appender.get(output.value).expect("every node is kept");
                b.output(key, value);
            }
        }
    }
    plan.graphs = builders
        .into_iter()
        .map(|(name, b)| (name, b.finish()))
        .collect();
    Ok(plan)
}

fn add_state(
    states: &mut Vec<StateEntry>,
    frozen: &mut FxHashMap<FrozenKey, State>,
    model: Model,
    entry: &StateEntry,
    seed: u64,
) -> State {
    let initial = match &entry.initial {
        Initial::Init(distribution, stream) => {
            Initial::Init(distribution.clone(), stream.bind(seed))
        }
        content => content.clone(),
    };
    let next = State::new(states.len());
    if entry.kind == StateKind::Frozen {
        // The printed forms say all that the values depend on, floats to the last bit.
        let key = (format!("{initial:?}"), entry.ty.to_string());
        let state = *frozen.entry(key).or_insert(next);
        if state != next {
            return state;
        }
    }
    let owner = entry.owner.map(|_| model);
    states.push(StateEntry {
        ty: entry.ty.clone(),
        kind: entry.kind,
        owner,
        initial,
    });
    next
}
