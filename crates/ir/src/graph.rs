//! The graph: nodes in an arena, in an order in which every operand is defined before its use.
//!
//! A graph is never edited. A [`GraphBuilder`](crate::GraphBuilder) makes one, and a
//! [`Rewriter`](crate::Rewriter) makes the next from it; so ids stay dense and the arena's order is
//! always an order of execution.

use std::sync::Arc;

use crate::attr::Attrs;
use crate::dim::Bindings;
use crate::entity::{AttrsId, Device, Model, Node, OpId, ProvenanceId, State, TypeId, Value};
use crate::intern::Interner;
use crate::op::{Cost, Infer, Op};
use crate::provenance::Provenance;
use crate::registry::OpRegistry;
use crate::types::TensorType;

/// One application of an op.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeData {
    pub op: OpId,
    pub attrs: AttrsId,
    pub provenance: ProvenanceId,
    pub operands: u32,
    pub results: u32,
    pub operand_count: u16,
    pub result_count: u16,
    /// None where the node is not placed.
    pub device: Option<Device>,
}

/// One result of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueData {
    pub ty: TypeId,
    pub def: Node,
}

/// What a graph gives back.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum OutputKey {
    /// A named result of a model.
    Result(Model, Arc<str>),
    /// The loss of a model: a scalar.
    Loss(Model),
    /// One batch's contribution to a metric of a model.
    Metric(Model, Arc<str>),
    /// The next value of a state.
    Update(State),
}

impl OutputKey {
    /// The model it belongs to; an update belongs to its state's owner.
    pub fn model(&self) -> Option<Model> {
        match self {
            OutputKey::Result(m, _) | OutputKey::Loss(m) | OutputKey::Metric(m, _) => Some(*m),
            OutputKey::Update(_) => None,
        }
    }

    /// The same for other models and states.
    #[must_use]
    pub fn map(&self, model: impl Fn(Model) -> Model, state: impl Fn(State) -> State) -> Self {
        match self {
            OutputKey::Result(m, name) => OutputKey::Result(model(*m), name.clone()),
            OutputKey::Loss(m) => OutputKey::Loss(model(*m)),
            OutputKey::Metric(m, name) => OutputKey::Metric(model(*m), name.clone()),
            OutputKey::Update(s) => OutputKey::Update(state(*s)),
        }
    }
}

/// A keyed value that the graph gives back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// What it is.
    pub key: OutputKey,
    /// The value.
    pub value: Value,
}

/// A typed SSA graph.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) registry: Arc<OpRegistry>,
    pub(crate) nodes: Vec<NodeData>,
    pub(crate) values: Vec<ValueData>,
    pub(crate) operands: Vec<Value>,
    pub(crate) attrs: Arc<Interner<Attrs>>,
    pub(crate) types: Arc<Interner<TensorType>>,
    pub(crate) provenance: Arc<Provenance>,
    pub(crate) outputs: Vec<Output>,
}

impl Graph {
    /// A graph without nodes.
    pub fn empty(registry: Arc<OpRegistry>) -> Self {
        Graph {
            registry,
            nodes: Vec::new(),
            values: Vec::new(),
            operands: Vec::new(),
            attrs: Arc::default(),
            types: Arc::default(),
            provenance: Arc::default(),
            outputs: Vec::new(),
        }
    }

    /// The ops that it is made of.
    pub fn registry(&self) -> &Arc<OpRegistry> {
        &self.registry
    }

    /// The number of nodes.
    #[inline]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The number of values.
    #[inline]
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// The number of edges: operands of all nodes.
    pub fn edge_count(&self) -> usize {
        self.operands.len()
    }

    /// All nodes, operands before users.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = Node> + ExactSizeIterator + use<> {
        (0..self.nodes.len()).map(Node::new)
    }

    /// A node's op.
    #[inline]
    pub fn op(&self, node: Node) -> &dyn Op {
        self.registry.op(self.op_id(node))
    }

    /// A node's op as an id.
    #[inline]
    pub fn op_id(&self, node: Node) -> OpId {
        self.nodes[node.index()].op
    }

    /// The name of a node's op.
    pub fn op_name(&self, node: Node) -> &'static str {
        self.op(node).name()
    }

    /// A node's attributes.
    #[inline]
    pub fn attrs(&self, node: Node) -> &Attrs {
        self.attrs.at(self.attrs_id(node).index())
    }

    /// A node's attributes as an id: equal ids, equal attributes, within one graph.
    #[inline]
    pub fn attrs_id(&self, node: Node) -> AttrsId {
        self.nodes[node.index()].attrs
    }

    /// A node's operands in order.
    #[inline]
    pub fn operands(&self, node: Node) -> &[Value] {
        let data = &self.nodes[node.index()];
        &self.operands[data.operands as usize..][..data.operand_count as usize]
    }

    /// The number of a node's results.
    #[inline]
    pub fn result_count(&self, node: Node) -> usize {
        self.nodes[node.index()].result_count as usize
    }

    /// A node's results in order.
    #[inline]
    pub fn results(&self, node: Node) -> impl ExactSizeIterator<Item = Value> + use<> {
        let data = self.nodes[node.index()];
        let first = data.results as usize;
        (first..first + data.result_count as usize).map(Value::new)
    }

    /// One of a node's results.
    ///
    /// # Panics
    /// If the node has no such result.
    pub fn result(&self, node: Node, index: usize) -> Value {
        assert!(
            index < self.result_count(node),
            "{node} has no result {index}"
        );
        Value::new(self.nodes[node.index()].results as usize + index)
    }

    /// The node that defines a value.
    #[inline]
    pub fn def(&self, value: Value) -> Node {
        self.values[value.index()].def
    }

    /// Which of its node's results a value is.
    pub fn result_index(&self, value: Value) -> usize {
        value.index() - self.nodes[self.def(value).index()].results as usize
    }

    /// A value's type.
    #[inline]
    pub fn ty(&self, value: Value) -> &TensorType {
        self.types.at(self.type_id(value).index())
    }

    /// A value's type as an id: equal ids, equal types, within one graph.
    #[inline]
    pub fn type_id(&self, value: Value) -> TypeId {
        self.values[value.index()].ty
    }

    /// The type of an id.
    #[inline]
    pub(crate) fn type_of(&self, id: TypeId) -> &TensorType {
        self.types.at(id.index())
    }

    /// The attributes of an id.
    #[inline]
    pub(crate) fn attrs_of(&self, id: AttrsId) -> &Attrs {
        self.attrs.at(id.index())
    }

    /// All distinct types, indexed by [`TypeId`].
    pub fn types(&self) -> &[TensorType] {
        self.types.items()
    }

    /// All distinct sets of attributes, indexed by [`AttrsId`].
    pub fn all_attrs(&self) -> &[Attrs] {
        self.attrs.items()
    }

    /// A node's device, once placed.
    #[inline]
    pub fn device(&self, node: Node) -> Option<Device> {
        self.nodes[node.index()].device
    }

    /// A node's provenance set.
    #[inline]
    pub fn provenance_id(&self, node: Node) -> ProvenanceId {
        self.nodes[node.index()].provenance
    }

    /// The interned provenance sets.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The models that a node stands for, sorted, each once.
    pub fn models(&self, node: Node) -> impl Iterator<Item = Model> + '_ {
        let set = self.provenance.set(self.provenance_id(node));
        let mut last = None;
        set.iter()
            .map(|o| o.model)
            .filter(move |m| last.replace(*m) != Some(*m))
    }

    /// What the graph gives back, in order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The value of an output.
    pub fn output(&self, key: &OutputKey) -> Option<Value> {
        self.outputs.iter().find(|o| o.key == *key).map(|o| o.value)
    }

    /// What inference looks at for a node.
    pub(crate) fn operand_types(&self, node: Node) -> Vec<&TensorType> {
        self.operands(node).iter().map(|v| self.ty(*v)).collect()
    }

    /// The work of a node under bindings; none where a shape stays unbound.
    pub fn cost(&self, node: Node, bindings: &Bindings) -> Option<Cost> {
        let bind = |v: Value| self.ty(v).bind(bindings);
        let operands: Vec<_> = self
            .operands(node)
            .iter()
            .map(|v| bind(*v))
            .collect::<Option<_>>()?;
        let results: Vec<_> = self.results(node).map(bind).collect::<Option<_>>()?;
        let refs: Vec<_> = operands.iter().collect();
        let cx = Infer {
            operands: &refs,
            attrs: self.attrs(node),
        };
        let op = self.op(node);
        Some(Cost {
            flops: op.flops(&cx, &results)?,
            bytes: op.bytes(&cx, &results)?,
        })
    }

    /// The sum of all nodes' floating-point operations; none where a shape stays unbound.
    pub fn flops(&self, bindings: &Bindings) -> Option<u64> {
        self.nodes().try_fold(0u64, |sum, n| {
            sum.checked_add(self.cost(n, bindings)?.flops)
        })
    }

    /// For every value, how many operands and outputs refer to it.
    pub fn use_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.values.len()];
        let outputs = self.outputs.iter().map(|o| o.value);
        for value in self.operands.iter().copied().chain(outputs) {
            counts[value.index()] += 1;
        }
        counts
    }

    /// For every node, whether some output needs it.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for output in &self.outputs {
            live[self.def(output.value).index()] = true;
        }
        for node in self.nodes().rev() {
            if live[node.index()] {
                for value in self.operands(node) {
                    live[self.def(*value).index()] = true;
                }
            }
        }
        live
    }

    /// Gives room back that the arena has for many more nodes than there are.
    pub(crate) fn shrink(&mut self) {
        fn shrink<T>(list: &mut Vec<T>) {
            if list.len() < list.capacity() / 8 * 7 {
                list.shrink_to_fit();
            }
        }
        shrink(&mut self.nodes);
        shrink(&mut self.values);
        shrink(&mut self.operands);
    }

    /// Bytes held by the arena, interners apart.
    pub fn arena_bytes(&self) -> usize {
        self.nodes.len() * size_of::<NodeData>()
            + self.values.len() * size_of::<ValueData>()
            + self.operands.len() * size_of::<Value>()
    }
}

impl PartialEq for Graph {
    /// Equal as texts: the same nodes in the same order, whatever the interners' order.
    fn eq(&self, other: &Graph) -> bool {
        let same_node = |n: Node| {
            let paths = |g: &Graph| -> Vec<_> {
                let set = g.provenance.set(g.provenance_id(n)).iter();
                let mut set: Vec<_> = set
                    .map(|o| (o.model, g.provenance.path(o.path).clone(), o.role))
                    .collect();
                set.sort();
                set
            };
            self.op_name(n) == other.op_name(n)
                && self.attrs(n) == other.attrs(n)
                && self.operands(n) == other.operands(n)
                && self.device(n) == other.device(n)
                && self.results(n).len() == other.results(n).len()
                && self
                    .results(n)
                    .zip(other.results(n))
                    .all(|(a, b)| self.ty(a) == other.ty(b))
                && paths(self) == paths(other)
        };
        self.len() == other.len() && self.outputs == other.outputs && self.nodes().all(same_node)
    }
}
