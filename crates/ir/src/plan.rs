//! A plan: named graphs over one table of models and one table of state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::content::Content;
use crate::entity::{Data, Model, State};
use crate::graph::{Graph, OutputKey};
use crate::stream::{Distribution, StreamKey};
use crate::types::TensorType;

/// The graph that trains, before differentiation.
pub const TRAIN: &str = "train";
/// The graph that evaluates.
pub const EVAL: &str = "eval";
/// The graph of one training step, after differentiation.
pub const STEP: &str = "step";

/// Who may change a state, and how.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum StateKind {
    /// A parameter that its one owner trains.
    Trainable,
    /// A tensor that its one owner's training updates without a gradient, such as a running mean.
    Buffer,
    /// A tensor that nobody changes. It has no owner, so models may share it.
    Frozen,
    /// A tensor that its owner's optimizer keeps.
    Slot,
}

impl StateKind {
    /// All kinds.
    pub const ALL: [StateKind; 4] = [
        StateKind::Trainable,
        StateKind::Buffer,
        StateKind::Frozen,
        StateKind::Slot,
    ];

    /// Its name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            StateKind::Trainable => "trainable",
            StateKind::Buffer => "buffer",
            StateKind::Frozen => "frozen",
            StateKind::Slot => "slot",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<StateKind> {
        StateKind::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// A tensor's content by which equal tensors are recognised.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub Arc<str>);

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Where a state's first value comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum Initial {
    /// Drawn from a distribution.
    Init(Distribution, StreamKey),
    /// Data that lies beside the plan.
    Content(ContentHash),
}

/// One tensor that outlives a step.
#[derive(Clone, PartialEq, Debug)]
pub struct StateEntry {
    /// Its type.
    pub ty: TensorType,
    /// Who may change it.
    pub kind: StateKind,
    /// The model that owns it; none exactly where it is frozen.
    pub owner: Option<Model>,
    /// Where its first value comes from.
    pub initial: Initial,
}

/// A tensor's data: floats as f64, whatever the dtype, or integers.
#[derive(Clone, PartialEq, Debug)]
pub enum TensorData {
    /// Float elements, row-major.
    Float(Vec<f64>),
    /// Integer or boolean elements, row-major.
    Int(Vec<i64>),
}

/// One model of a plan.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ModelEntry {
    /// The name that its submitter gave it.
    pub name: Arc<str>,
    /// Its data stream, once it has met its evaluator.
    pub data: Option<Data>,
    /// Its states by their paths in the submitted model, in its own order.
    pub states: Vec<(Arc<str>, State)>,
}

/// Named graphs over one table of models and one table of state.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// The models.
    pub models: Vec<ModelEntry>,
    /// The states.
    pub states: Vec<StateEntry>,
    /// The graphs, each name once.
    pub graphs: Vec<(Arc<str>, Graph)>,
    /// Data of states whose content is given, by hash.
    pub contents: Contents,
}

/// A graph's outputs and their types.
pub type Interface = Vec<(OutputKey, TensorType)>;

/// Tensors by content hash.
pub type Contents = BTreeMap<ContentHash, Content>;

impl Plan {
    /// The graph of this name.
    pub fn graph(&self, name: &str) -> Option<&Graph> {
        self.graphs
            .iter()
            .find(|(n, _)| **n == *name)
            .map(|(_, g)| g)
    }

    /// Adds or replaces a graph.
    pub fn set_graph(&mut self, name: &str, graph: Graph) {
        match self.graphs.iter_mut().find(|(n, _)| **n == *name) {
            Some((_, old)) => *old = graph,
            None => self.graphs.push((name.into(), graph)),
        }
    }

    /// Takes a graph out.
    pub fn take_graph(&mut self, name: &str) -> Option<Graph> {
        let at = self.graphs.iter().position(|(n, _)| **n == *name)?;
        Some(self.graphs.remove(at).1)
    }

    /// A model's entry.
    pub fn model(&self, model: Model) -> &ModelEntry {
        &self.models[model.index()]
    }

    /// All models.
    pub fn model_ids(&self) -> impl ExactSizeIterator<Item = Model> + use<> {
        (0..self.models.len()).map(Model::new)
    }

    /// A state's entry.
    pub fn state(&self, state: State) -> &StateEntry {
        &self.states[state.index()]
    }

    /// Adds a state and enters it in its model's paths.
    pub fn add_state(&mut self, model: Model, path: &str, entry: StateEntry) -> State {
        let state = State::new(self.states.len());
        self.states.push(entry);
        self.models[model.index()].states.push((path.into(), state));
        state
    }

    /// What the plan promises to those who submitted the models: for each graph its outputs and
    /// their types. No pass may change it but one that adds a graph.
    pub fn interface(&self) -> Vec<(Arc<str>, Interface)> {
        let outputs = |g: &Graph| {
            let outputs = g.outputs().iter();
            outputs
                .map(|o| (o.key.clone(), g.ty(o.value).clone()))
                .collect()
        };
        self.graphs
            .iter()
            .map(|(name, g)| (name.clone(), outputs(g)))
            .collect()
    }
}
