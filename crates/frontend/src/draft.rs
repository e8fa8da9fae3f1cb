//! The model graph while it is being built, with its states.

use std::collections::{BTreeMap, HashSet};

use syncarp_diag::Source;
use syncarp_ir::core_ops::{INPUT, STATE, STEP_INPUT};
use syncarp_ir::{
    Attrs, BuildError, DType, Dim, GraphBuilder, Initial, Model, ModelEntry, OutputKey, Plan, Role,
    State, StateEntry, StateKind, StreamKey, TRAIN, TensorType, Value,
};

use crate::error::FrontendError;

/// The one model of a plan that comes from here.
pub(crate) const MODEL: usize = 0;

/// A column of the data: its name, element type and the dims of one sample.
pub(crate) type Columns<'a> = &'a [(String, DType, Vec<u64>)];

/// A model graph in the making.
pub(crate) struct Draft<'a> {
    pub b: GraphBuilder,
    pub plan: Plan,
    /// The sweep's text, which places point into.
    pub source: &'a Source,
    /// Next values of buffers, in the order in which the model first computes them.
    updates: Vec<(State, Value)>,
    /// For each state that is updated, its place among the updates.
    updated: BTreeMap<State, usize>,
    columns: Columns<'a>,
    inputs: BTreeMap<String, Value>,
    paths: HashSet<String>,
    /// States that layers made, by path, each with the value that is read of it.
    states: BTreeMap<String, (State, Value)>,
    /// For each path with a random op, how many there are.
    streams: BTreeMap<String, u32>,
    /// How many elements have been written down.
    written: u64,
}

/// The most elements that a model's graph has written down: what is larger lies in a file.
const MAX_WRITTEN: u64 = 1 << 22;

impl<'a> Draft<'a> {
    pub fn new(name: &str, source: &'a Source, b: GraphBuilder, columns: Columns<'a>) -> Self {
        let entry = ModelEntry {
            name: name.into(),
            ..ModelEntry::default()
        };
        let plan = Plan {
            models: vec![entry],
            ..Plan::default()
        };
        Draft {
            b,
            plan,
            source,
            updates: Vec::new(),
            updated: BTreeMap::new(),
            columns,
            inputs: BTreeMap::new(),
            paths: HashSet::new(),
            states: BTreeMap::new(),
            streams: BTreeMap::new(),
            written: 0,
        }
    }

    pub fn model() -> Model {
        Model::new(MODEL)
    }

    /// Takes a path, which stands for one layer, state or group of layers alone; false where it is
    /// taken.
    pub fn claim(&mut self, path: &str) -> bool {
        self.paths.insert(path.to_owned())
    }

    /// Runs something whose nodes come from a path, and marks nodes as before afterwards.
    pub fn at<T>(&mut self, path: &str, emit: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.b.context();
        self.b.set_origin(Self::model(), path, Role::Forward);
        let result = emit(self);
        self.b.set_context(before);
        result
    }

    /// The name of the input that the first layer takes: the column `x`, else the first that is no
    /// target. Without any data it is `x` of an unknown type.
    pub fn first_input(&self) -> Result<String, FrontendError> {
        let by_name = |name: &str| self.columns.iter().find(|(n, ..)| n == name);
        let column = by_name("x").or_else(|| self.columns.iter().find(|(n, ..)| n != "y"));
        match column {
            Some((name, ..)) => Ok(name.clone()),
            None if self.columns.is_empty() => Ok("x".to_owned()),
            None => {
                let names: Vec<&str> = self.columns.iter().map(|(n, ..)| n.as_str()).collect();
                Err(FrontendError::NoInput {
                    columns: names.join(", "),
                })
            }
        }
    }

    /// The columns that are no target, in order.
    pub fn columns_but_target(&self) -> Vec<String> {
        let inputs = self.columns.iter().filter(|(name, ..)| name != "y");
        inputs.map(|(name, ..)| name.clone()).collect()
    }

    /// Whether the data has such a column.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|(n, ..)| n == name)
    }

    /// An input, made once; of a known type where the data has such a column.
    pub fn input(&mut self, name: &str) -> Result<Value, BuildError> {
        let mut attrs = Attrs::new().with("model", Self::model()).with("name", name);
        if let Some((_, dtype, dims)) = self.columns.iter().find(|(n, ..)| n == name) {
            let mut shape = vec![Dim::symbol("n")];
            shape.extend(dims.iter().copied().map(Dim::Known));
            attrs = attrs.with("dtype", *dtype).with("dims", shape);
        }
        self.source_node(name, attrs)
    }

    /// An input of this type, made once, whatever the data.
    pub fn input_of(&mut self, name: &str, ty: &TensorType) -> Result<Value, BuildError> {
        let mut attrs = Attrs::new().with("model", Self::model()).with("name", name);
        if let Some(dtype) = ty.dtype {
            attrs.set("dtype", dtype);
        }
        if let Some(dims) = ty.dims() {
            attrs.set("dims", dims);
        }
        self.source_node(name, attrs)
    }

    /// The number of the step, made once.
    pub fn step(&mut self) -> Result<Value, BuildError> {
        let attrs = Attrs::new()
            .with("model", Self::model())
            .with("name", STEP_INPUT);
        let attrs = attrs
            .with("dtype", DType::I64)
            .with("dims", Vec::<Dim>::new());
        self.source_node(STEP_INPUT, attrs)
    }

    fn source_node(&mut self, name: &str, attrs: Attrs) -> Result<Value, BuildError> {
        if let Some(value) = self.inputs.get(name) {
            return Ok(*value);
        }
        let value = self.at("", |draft| draft.b.emit1(INPUT, &[], attrs))?;
        self.inputs.insert(name.to_owned(), value);
        Ok(value)
    }

    /// Adds a state of this model and reads it.
    pub fn state(
        &mut self,
        path: &str,
        ty: TensorType,
        kind: StateKind,
        initial: Initial,
    ) -> Result<(State, Value), BuildError> {
        let owner = (kind != StateKind::Frozen).then_some(Self::model());
        let entry = StateEntry {
            ty,
            kind,
            owner,
            initial,
        };
        let state = self.plan.add_state(Self::model(), path, entry);
        let value = self.read(path, state)?;
        self.states.insert(path.to_owned(), (state, value));
        Ok((state, value))
    }

    /// A state that a layer made, and the value that it has by now: what is read of it, or what it
    /// became if it was updated since.
    pub fn known_state(&self, path: &str) -> Option<(State, Value)> {
        let (state, read) = *self.states.get(path)?;
        Some((state, self.latest(state).unwrap_or(read)))
    }

    /// What a state became, if it was updated.
    pub fn latest(&self, state: State) -> Option<Value> {
        let place = self.updated.get(&state)?;
        Some(self.updates[*place].1)
    }

    /// Gives a buffer its next value; of several the last one counts.
    pub fn update(&mut self, state: State, value: Value) {
        match self.updated.get(&state) {
            Some(place) => self.updates[*place].1 = value,
            None => {
                self.updated.insert(state, self.updates.len());
                self.updates.push((state, value));
            }
        }
    }

    /// The stream of a random op of this path: the first occurrence, then the next, and so on.
    pub fn stream(&mut self, path: &str) -> StreamKey {
        let count = self.streams.entry(path.to_owned()).or_default();
        *count += 1;
        StreamKey::unbound(path, *count - 1)
    }

    /// Counts elements that are to be written down.
    pub fn write_down(&mut self, elements: u64) -> Result<(), String> {
        self.written = self.written.saturating_add(elements);
        match self.written <= MAX_WRITTEN {
            true => Ok(()),
            false => Err(format!("the graph holds more than {MAX_WRITTEN} numbers")),
        }
    }

    /// Reads a state.
    pub fn read(&mut self, path: &str, state: State) -> Result<Value, BuildError> {
        let ty = self.plan.state(state).ty.clone();
        self.at(path, |draft| {
            let op = draft.b.graph().registry().find(STATE);
            let op = op.ok_or_else(|| BuildError::UnknownOp {
                op: STATE.to_owned(),
            })?;
            let attrs = Attrs::new().with("of", state);
            Ok(draft.b.emit_id(op, &[], attrs, Some(&[ty]))?[0])
        })
    }

    /// The plan, with these values as the model's results.
    pub fn finish(self, results: &[(&str, Value)]) -> Plan {
        let Draft {
            mut b,
            mut plan,
            updates,
            ..
        } = self;
        for (name, value) in results {
            b.output(OutputKey::Result(Self::model(), (*name).into()), *value);
        }
        for (state, value) in updates {
            b.output(OutputKey::Update(state), value);
        }
        plan.set_graph(TRAIN, b.finish());
        plan
    }
}
