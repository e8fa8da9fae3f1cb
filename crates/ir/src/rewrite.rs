//! Rewriting: the one way to get from a graph to the next.
//!
//! A rewriter walks the old graph in order and emits the new one. Where a node is replaced by
//! something that stands for it, its provenance goes over to what stands for it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::attr::Attrs;
use crate::builder::{BuildError, Context, GraphBuilder, Values};
use crate::entity::{Device, Node, OpId, ProvenanceId, TypeId, Value};
use crate::graph::{Graph, OutputKey};
use crate::op::{Expand, Gradient, GradientError};
use crate::provenance::Origin;
use crate::types::TensorType;

/// Emits a new graph from an old one.
///
/// As long as the old nodes are copied as they stand, the new graph is the beginning of the old one
/// and nothing is written down: a pass that finds nothing to do pays for looking alone.
pub struct Rewriter<'a> {
    old: &'a Graph,
    /// The new graph, once it is anything else than the first nodes of the old one.
    b: Option<GraphBuilder>,
    /// How many of the old nodes, and of their values, the new graph began with.
    same: (usize, usize),
    /// For every old value, the new one that stands for it; empty before there is a builder.
    map: Vec<Value>,
    /// (new node, old node) pairs whose provenance is to be united at the end, all at once, since
    /// one node may come to stand for thousands.
    united: Vec<(Node, Node)>,
}

/// What nothing stands for yet; no graph has so many values.
const NONE: Value = Value::LAST;

impl<'a> Rewriter<'a> {
    /// A rewriter of a graph into one of the same ops, types and attributes.
    pub fn new(old: &'a Graph) -> Self {
        Rewriter {
            old,
            b: None,
            same: (0, 0),
            map: Vec::new(),
            united: Vec::new(),
        }
    }

    /// The graph that is being rewritten.
    #[inline]
    pub fn old(&self) -> &'a Graph {
        self.old
    }

    /// The new graph so far. Of what [`get`](Self::get) gave, it knows node, attributes and type.
    #[inline]
    pub fn graph(&self) -> &Graph {
        self.b.as_ref().map_or(self.old, GraphBuilder::graph)
    }

    /// The builder of the new graph, marked with what was set last.
    #[inline]
    pub fn builder(&mut self) -> &mut GraphBuilder {
        if self.b.is_none() {
            self.begin();
        }
        self.b.as_mut().expect("it was just made")
    }

    /// Writes the new graph so far down: the first nodes of the old one.
    fn begin(&mut self) {
        let (old, (nodes, values)) = (self.old, self.same);
        let operands = old.nodes[..nodes]
            .last()
            .map_or(0, |n| n.operands as usize + usize::from(n.operand_count));
        self.map = Vec::with_capacity(old.values.len());
        self.map.extend((0..values).map(Value::new));
        self.map.resize(old.values.len(), NONE);
        let graph = Graph {
            registry: old.registry.clone(),
            nodes: begun(&old.nodes, nodes),
            values: begun(&old.values, values),
            operands: begun(&old.operands, operands),
            attrs: old.attrs.clone(),
            types: old.types.clone(),
            provenance: old.provenance.clone(),
            outputs: Vec::new(),
        };
        let last = nodes.saturating_sub(1);
        self.b = Some(match old.nodes.get(last) {
            Some(last) => GraphBuilder::marked(
                graph,
                Context {
                    provenance: last.provenance,
                    device: last.device,
                },
            ),
            None => GraphBuilder::over(graph),
        });
    }

    /// Marks what is emitted next as coming from where an old node comes from.
    pub fn at(&mut self, node: Node) -> &mut GraphBuilder {
        let context = Context {
            provenance: self.old.provenance_id(node),
            device: self.old.device(node),
        };
        let b = self.builder();
        b.set_context(context);
        b
    }

    /// The new value that stands for an old one.
    ///
    /// # Panics
    /// If its node was not rewritten yet: a pass must go in the old graph's order.
    #[inline]
    pub fn get(&self, value: Value) -> Value {
        self.try_get(value)
            .expect("operands are rewritten before their users")
    }

    /// The new value that stands for an old one, if one does.
    #[inline]
    pub fn try_get(&self, value: Value) -> Option<Value> {
        if self.b.is_none() {
            return (value.index() < self.same.1).then_some(value);
        }
        Some(self.map[value.index()]).filter(|new| *new != NONE)
    }

    /// The new operands of an old node.
    pub fn operands(&self, node: Node) -> SmallVec<[Value; 4]> {
        let mut operands = SmallVec::new();
        for value in self.old.operands(node) {
            operands.push(self.get(*value));
        }
        operands
    }

    /// Copies a node, its operands replaced by what stands for them.
    pub fn copy(&mut self, node: Node) -> Values {
        let count = self.old.result_count(node);
        if self.b.is_none() && node.index() == self.same.0 {
            self.same.0 += 1;
            self.same.1 += count;
            return few(self.old.results(node));
        }
        self.at(node);
        let b = self.b.as_mut().expect("the mark was set in it");
        let data = self.old.nodes[node.index()];
        let (operands, map) = (self.old.operands(node), &self.map);
        let values = b.push_same(
            &data,
            operands.iter().map(|v| {
                let new = map[v.index()];
                assert!(new != NONE, "operands are rewritten before their users");
                new
            }),
            self.old.results(node).map(|v| self.old.type_id(v)),
        );
        self.map_results(node, &values);
        values
    }

    /// Copies a node with other attributes; its types are inferred anew and must stay the same.
    ///
    /// # Errors
    /// Where they do not.
    pub fn copy_with(&mut self, node: Node, attrs: Attrs) -> Result<Values, BuildError> {
        let operands = self.operands(node);
        self.respell(node, self.old.op_id(node), &operands, attrs)
    }

    /// Emits another op in the place of a node, with results of the same types.
    ///
    /// # Errors
    /// Where that does not type.
    pub fn respell(
        &mut self,
        node: Node,
        op: OpId,
        operands: &[Value],
        attrs: Attrs,
    ) -> Result<Values, BuildError> {
        let old = self.old;
        let types: SmallVec<[TypeId; 2]> = old.results(node).map(|v| old.type_id(v)).collect();
        let b = self.at(node);
        let attrs = b.intern_attrs(attrs);
        let values = b.emit_interned(op, attrs, operands, Some(&types))?;
        self.map_results(node, &values);
        Ok(values)
    }

    fn map_results(&mut self, node: Node, values: &[Value]) {
        self.builder();
        for (old, new) in self.old.results(node).zip(values) {
            self.map[old.index()] = *new;
        }
    }

    /// Lets the results of a node that was emitted at an old node's place stand for the old node's,
    /// whatever their types: for binding, where types only get better known.
    ///
    /// # Panics
    /// If their numbers differ.
    pub fn stand_for(&mut self, node: Node, values: &[Value]) {
        assert_eq!(
            values.len(),
            self.old.result_count(node),
            "one value for each result"
        );
        self.map_results(node, values);
    }

    /// Lets values of the new graph stand for a node's results. The provenance of the node goes
    /// over to the nodes that define them.
    ///
    /// # Errors
    /// Where their number or a type differs.
    pub fn replace(&mut self, node: Node, values: &[Value]) -> Result<(), BuildError> {
        let invalid = |message: String| BuildError::Invalid {
            op: self.old.op_name(node).to_owned(),
            message,
        };
        if values.len() != self.old.result_count(node) {
            return Err(invalid(format!(
                "{} results cannot be replaced by {}",
                self.old.result_count(node),
                values.len()
            )));
        }
        for (old, new) in self.old.results(node).zip(values) {
            // Both graphs have one table of types.
            let same = self.old.type_id(old) == self.graph().type_id(*new);
            let (a, b) = (self.old.ty(old), self.graph().ty(*new));
            if !same && a.meet(b).is_none() {
                return Err(invalid(format!(
                    "a result of type {a} cannot be replaced by {b}"
                )));
            }
        }
        self.map_results(node, values);
        for value in values {
            let def = self.graph().def(*value);
            if self.united.last() != Some(&(def, node)) {
                self.united.push((def, node));
            }
        }
        Ok(())
    }

    /// Emits what an op is in evaluation in the place of a node; false where the op has no such
    /// form.
    ///
    /// # Errors
    /// Where the op's rule emits something wrong.
    pub fn to_eval(&mut self, node: Node) -> Result<bool, BuildError> {
        self.expand(node, |op, cx| op.to_eval(cx))
    }

    /// Emits an op's decomposition in the place of a node; false where it has none.
    ///
    /// # Errors
    /// Where the op's rule emits something wrong.
    pub fn decompose(&mut self, node: Node) -> Result<bool, BuildError> {
        self.expand(node, |op, cx| op.decompose(cx))
    }

    fn expand(
        &mut self,
        node: Node,
        rule: impl Fn(&dyn crate::Op, &mut Expand<'_>) -> Option<Result<Values, BuildError>>,
    ) -> Result<bool, BuildError> {
        let operands = self.operands(node);
        let types: Vec<TensorType> = self
            .old
            .results(node)
            .map(|v| self.old.ty(v).clone())
            .collect();
        let old = self.old;
        let mut cx = Expand {
            b: self.at(node),
            attrs: old.attrs(node),
            operands: &operands,
            types: &types,
        };
        match rule(old.op(node), &mut cx) {
            None => Ok(false),
            Some(values) => {
                self.replace(node, &values?)?;
                Ok(true)
            }
        }
    }

    /// Runs the gradient rule of an old node that was copied into the new graph.
    ///
    /// # Errors
    /// Where the op has no rule, or the rule emits something wrong.
    pub fn gradient(
        &mut self,
        node: Node,
        arrived: &[Option<Value>],
        wanted: &[bool],
    ) -> Result<Vec<Option<Value>>, GradientError> {
        let operands = self.operands(node);
        let results: Values = self.old.results(node).map(|v| self.get(v)).collect();
        let mut given = vec![None; operands.len()];
        let old = self.old;
        let mut cx = Gradient {
            b: self.builder(),
            attrs: old.attrs(node),
            operands: &operands,
            results: &results,
            arrived,
            wanted,
            given: &mut given,
        };
        old.op(node).gradient(&mut cx)?;
        Ok(given)
    }

    /// Puts a node of the new graph on a device.
    pub fn set_device(&mut self, node: Node, device: Option<Device>) {
        self.builder().set_device(node, device);
    }

    /// Copies the old graph's outputs, each to what stands for its value.
    pub fn copy_outputs(&mut self) {
        for output in self.old.outputs() {
            let value = self.get(output.value);
            self.builder().output(output.key.clone(), value);
        }
    }

    /// Names an output of the new graph.
    pub fn output(&mut self, key: OutputKey, value: Value) {
        self.builder().output(key, value);
    }

    /// The new graph, provenance united.
    pub fn finish(mut self) -> Graph {
        self.builder();
        let mut graph = self.b.take().expect("it was just made").finish();
        let pairs = std::mem::take(&mut self.united);
        if !pairs.is_empty() {
            unite(&mut graph, self.old, &pairs);
        }
        graph.shrink();
        graph
    }
}

/// Values, of which there is mostly one.
fn few(values: impl Iterator<Item = Value>) -> Values {
    let mut few = Values::new();
    values.for_each(|value| few.push(value));
    few
}

/// The first items of a list, with room for as many as the list has.
fn begun<T: Copy>(list: &[T], count: usize) -> Vec<T> {
    let mut new = Vec::with_capacity(list.len());
    new.extend_from_slice(&list[..count]);
    new
}

/// Adds to the provenance of new nodes that of old ones, and drops sets that no node carries any
/// more, which would otherwise pile up from pass to pass.
fn unite(graph: &mut Graph, old: &Graph, pairs: &[(Node, Node)]) {
    // For every new node its last pair, and for every pair the one before it, plus one.
    let mut last = vec![0u32; graph.nodes.len()];
    let mut before = Vec::with_capacity(pairs.len());
    for (pair, (new, _)) in (1..).zip(pairs) {
        before.push(std::mem::replace(&mut last[new.index()], pair));
    }
    let sets = graph.provenance.clone();
    let mut fresh = sets.without_sets(graph.nodes.len().min(sets.len()));
    // For every set its new id plus one.
    let mut map: Vec<u32> = vec![0; sets.len()];
    let mut all: Vec<Origin> = Vec::new();
    for (index, data) in graph.nodes.iter_mut().enumerate() {
        all.clear();
        let mut pair = last[index] as usize;
        while pair > 0 {
            let from = &pairs[pair - 1].1;
            pair = before[pair - 1] as usize;
            if old.provenance_id(*from) != data.provenance {
                all.extend_from_slice(sets.set(old.provenance_id(*from)));
            }
        }
        let own = sets.set(data.provenance);
        let adds = all.iter().any(|origin| own.binary_search(origin).is_err());
        data.provenance = if adds {
            all.extend_from_slice(own);
            all.sort_unstable();
            all.dedup();
            // More than one origin, since one is added to another.
            fresh.intern_sorted(&all)
        } else {
            let known = &mut map[data.provenance.index()];
            if *known == 0 {
                *known = fresh.take(own).index() as u32 + 1;
            }
            ProvenanceId::new(*known as usize - 1)
        };
    }
    graph.provenance = Arc::new(fresh);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OpRegistry;
    use crate::entity::Model;
    use crate::types::DType;

    /// Two constants of each number, and an op of all of them.
    fn graph() -> Graph {
        let mut b = GraphBuilder::new(Arc::new(OpRegistry::new()));
        let mut all = Vec::new();
        for number in [1.0, 1.0, 2.0, 2.0] {
            let path = format!("c{}", all.len());
            b.set_origin(Model::new(0), &path, crate::Role::Forward);
            all.push(b.constant(DType::F32, number).unwrap());
        }
        let attrs = Attrs::new().with("op", "sum");
        let sum = b.emit1(crate::core_ops::CUSTOM, &all, attrs).unwrap();
        b.output(OutputKey::Loss(Model::new(0)), sum);
        b.finish()
    }

    #[test]
    fn as_long_as_nodes_are_copied_nothing_is_written() {
        let old = graph();
        let mut rw = Rewriter::new(&old);
        for node in old.nodes() {
            let values = rw.copy(node);
            assert!(values.iter().copied().eq(old.results(node)));
            assert!(std::ptr::eq(rw.graph(), &old));
        }
        rw.copy_outputs();
        assert!(rw.finish() == old);
    }

    #[test]
    fn what_was_copied_is_the_beginning_of_the_new_graph() {
        let old = graph();
        let mut rw = Rewriter::new(&old);
        let nodes: Vec<Node> = old.nodes().collect();
        let first = rw.copy(nodes[0])[0];
        assert_eq!(rw.try_get(old.result(nodes[1], 0)), None);
        rw.replace(nodes[1], &[first]).unwrap();
        let third = rw.copy(nodes[2])[0];
        rw.replace(nodes[3], &[third]).unwrap();
        rw.copy(nodes[4]);
        rw.copy_outputs();
        let new = rw.finish();
        assert_eq!(new.len(), 3);
        let sum = new.nodes().last().unwrap();
        let operands: Vec<usize> = new.operands(sum).iter().map(|v| v.index()).collect();
        assert_eq!(operands, [0, 0, 1, 1]);
        let paths = |node: Node| -> Vec<&str> {
            let set = new.provenance().set(new.provenance_id(node)).iter();
            set.map(|o| &**new.provenance().path(o.path)).collect()
        };
        assert_eq!(paths(Node::new(0)), ["c0", "c1"]);
        assert_eq!(paths(Node::new(1)), ["c2", "c3"]);
        assert_eq!(paths(sum), ["c3"]);
    }

    #[test]
    #[should_panic(expected = "before their users")]
    fn an_order_of_its_own_is_a_bug() {
        let old = graph();
        let mut rw = Rewriter::new(&old);
        rw.copy(old.nodes().last().unwrap());
    }
}
