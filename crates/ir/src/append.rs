//! Appending parts of a graph to others under renaming: how models are fused and taken apart again.

use smallvec::SmallVec;

use crate::attr::Attr;
use crate::builder::GraphBuilder;
use crate::entity::{AttrsId, Device, Model, Node, ProvenanceId, State, TypeId, Value};
use crate::graph::Graph;
use crate::provenance::Origin;
use crate::stream::StreamKey;

/// What becomes of the names in an appended graph.
pub trait Renaming {
    /// The new model of an origin; none drops the origin.
    fn model(&self, model: Model) -> Option<Model>;
    /// The new state.
    fn state(&self, state: State) -> State;
    /// The new random stream.
    fn stream(&self, stream: &StreamKey) -> StreamKey;
    /// The new device.
    fn device(&self, device: Device) -> Option<Device> {
        Some(device)
    }
}

/// Entries by index, all of which are forgotten at once.
struct Table<T> {
    entries: Vec<(u32, Option<T>)>,
    now: u32,
}

impl<T: Copy> Table<T> {
    fn new(len: usize) -> Self {
        Table {
            entries: vec![(0, None); len],
            now: 0,
        }
    }

    fn get(&self, index: usize) -> Option<T> {
        let (since, entry) = self.entries[index];
        entry.filter(|_| since == self.now)
    }

    fn set(&mut self, index: usize, entry: T) {
        self.entries[index] = (self.now, Some(entry));
    }

    fn forget(&mut self) {
        self.now = self
            .now
            .checked_add(1)
            .expect("a graph has under 2^32 parts");
    }
}

/// Appends parts of one graph to other graphs, part by part. A part costs what is in it, whatever
/// the size of the graph.
pub struct Appender<'g> {
    graph: &'g Graph,
    attrs: Table<AttrsId>,
    types: Table<TypeId>,
    sets: Table<ProvenanceId>,
    paths: Table<u32>,
    values: Table<Value>,
}

impl<'g> Appender<'g> {
    /// An appender of parts of this graph.
    pub fn new(graph: &'g Graph) -> Self {
        Appender {
            graph,
            attrs: Table::new(graph.all_attrs().len()),
            types: Table::new(graph.types().len()),
            sets: Table::new(graph.provenance().len()),
            paths: Table::new(graph.provenance().paths().len()),
            values: Table::new(graph.value_count()),
        }
    }

    /// The value that stands for an old one in the graph that was appended to last.
    pub fn get(&self, value: Value) -> Option<Value> {
        self.values.get(value.index())
    }

    /// Appends nodes, in the graph's order and with all their operands. Outputs are the caller's to
    /// name.
    ///
    /// An `input` whose own model is dropped goes over to the first model that it still stands for.
    ///
    /// # Panics
    /// If an operand of a node is not among the nodes before it, or a node stands for no model that
    /// is left.
    pub fn append(
        &mut self,
        b: &mut GraphBuilder,
        nodes: impl IntoIterator<Item = Node>,
        renaming: &dyn Renaming,
    ) {
        self.attrs.forget();
        self.types.forget();
        self.sets.forget();
        self.paths.forget();
        self.values.forget();
        let graph = self.graph;
        let before = b.context();
        for node in nodes {
            let operands: SmallVec<[Value; 4]> = graph
                .operands(node)
                .iter()
                .map(|v| self.get(*v).expect("operands of kept nodes are kept"))
                .collect();
            let results: SmallVec<[TypeId; 2]> =
                graph.results(node).map(|v| self.ty(b, v)).collect();
            let provenance = self.provenance(b, node, renaming);
            let attrs = self.attrs(b, node, provenance, renaming);
            let device = graph.device(node).and_then(|d| renaming.device(d));
            b.set_context(crate::Context { provenance, device });
            let values = b.push(graph.op_id(node), attrs, &operands, &results);
            for (old, new) in graph.results(node).zip(values) {
                self.values.set(old.index(), new);
            }
        }
        b.set_context(before);
    }

    fn ty(&mut self, b: &mut GraphBuilder, value: Value) -> TypeId {
        let id = self.graph.type_id(value).index();
        if let Some(new) = self.types.get(id) {
            return new;
        }
        let new = b.intern_type(self.graph.ty(value).clone());
        self.types.set(id, new);
        new
    }

    fn provenance(
        &mut self,
        b: &mut GraphBuilder,
        node: Node,
        renaming: &dyn Renaming,
    ) -> ProvenanceId {
        let graph = self.graph;
        let id = graph.provenance_id(node);
        if let Some(new) = self.sets.get(id.index()) {
            return new;
        }
        let mut origins: SmallVec<[Origin; 4]> = SmallVec::new();
        for origin in graph.provenance().set(id) {
            let Some(model) = renaming.model(origin.model) else {
                continue;
            };
            let path = self.path(b, origin.path);
            let role = origin.role;
            origins.push(Origin { model, path, role });
        }
        origins.sort_unstable();
        origins.dedup();
        let new = b.provenance_mut().intern_sorted(&origins);
        self.sets.set(id.index(), new);
        new
    }

    fn path(&mut self, b: &mut GraphBuilder, path: u32) -> u32 {
        if let Some(new) = self.paths.get(path as usize) {
            return new;
        }
        let text = self.graph.provenance().path(path);
        let new = b.provenance_mut().intern_path(text);
        self.paths.set(path as usize, new);
        new
    }

    fn attrs(
        &mut self,
        b: &mut GraphBuilder,
        node: Node,
        provenance: ProvenanceId,
        renaming: &dyn Renaming,
    ) -> AttrsId {
        let id = self.graph.attrs_id(node).index();
        if let Some(new) = self.attrs.get(id) {
            return new;
        }
        // Attributes that name a dropped model depend on the node; all others are renamed once.
        let mut cacheable = true;
        let mut first = || {
            cacheable = false;
            let set = b.graph().provenance().set(provenance);
            let first = set.first().map(|origin| origin.model);
            first.expect("a kept node stands for a model that is left")
        };
        let renamed = self.graph.attrs(node).map(|value| match value {
            Attr::State(s) => Attr::State(renaming.state(*s)),
            Attr::Stream(s) => Attr::Stream(renaming.stream(s)),
            Attr::Model(m) => Attr::Model(renaming.model(*m).unwrap_or_else(&mut first)),
            other => other.clone(),
        });
        let new = b.intern_attrs(renamed);
        if cacheable {
            self.attrs.set(id, new);
        }
        new
    }
}
