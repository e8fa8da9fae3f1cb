//! Rewriting: the one way to get from a graph to the next.
//!
//! A rewriter walks the old graph in order and emits the new one. Where a node is replaced by
//! something that stands for it, its provenance goes over to what stands for it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::attr::Attrs;
use crate::builder::{BuildError, Context, GraphBuilder, Values};
use crate::entity::{Device, Node, TypeId, Value};
use crate::graph::{Graph, OutputKey};
use crate::op::{Expand, Gradient, GradientError};
use crate::types::TensorType;

/// Emits a new graph from an old one.
pub struct Rewriter<'a> {
    old: &'a Graph,
    b: GraphBuilder,
    /// For every old value, the new one that stands for it.
    map: Vec<Option<Value>>,
    /// (new node, old node) pairs whose provenance is to be united at the end, all at once, since
    /// one node may come to stand for thousands.
    united: Vec<(Node, Node)>,
}

impl<'a> Rewriter<'a> {
    /// A rewriter of a graph into one of the same ops, types and attributes.
    pub fn new(old: &'a Graph) -> Self {
        let mut graph = Graph::empty(old.registry.clone());
        graph.attrs = old.attrs.clone();
        graph.types = old.types.clone();
        graph.provenance = old.provenance.clone();
        graph.nodes.reserve(old.nodes.len());
        graph.values.reserve(old.values.len());
        graph.operands.reserve(old.operands.len());
        let b = GraphBuilder::over(graph);
        Rewriter {
            old,
            b,
            map: vec![None; old.values.len()],
            united: Vec::new(),
        }
    }

    /// The graph that is being rewritten.
    pub fn old(&self) -> &'a Graph {
        self.old
    }

    /// The builder of the new graph, marked with what was set last.
    pub fn builder(&mut self) -> &mut GraphBuilder {
        &mut self.b
    }

    /// Marks what is emitted next as coming from where an old node comes from.
    pub fn at(&mut self, node: Node) -> &mut GraphBuilder {
        let provenance = self.old.provenance_id(node);
        self.b.set_context(Context {
            provenance,
            device: self.old.device(node),
        });
        &mut self.b
    }

    /// The new value that stands for an old one.
    ///
    /// # Panics
    /// If its node was not rewritten yet: a pass must go in the old graph's order.
    pub fn get(&self, value: Value) -> Value {
        self.map[value.index()].expect("operands are rewritten before their users")
    }

    /// The new value that stands for an old one, if one does.
    pub fn try_get(&self, value: Value) -> Option<Value> {
        self.map[value.index()]
    }

    /// The new operands of an old node.
    pub fn operands(&self, node: Node) -> SmallVec<[Value; 4]> {
        self.old
            .operands(node)
            .iter()
            .map(|v| self.get(*v))
            .collect()
    }

    /// Copies a node, its operands replaced by what stands for them.
    pub fn copy(&mut self, node: Node) -> Values {
        let operands = self.operands(node);
        let types: SmallVec<[TypeId; 2]> = self
            .old
            .results(node)
            .map(|v| self.old.type_id(v))
            .collect();
        self.at(node);
        let attrs = self.old.attrs_id(node);
        let values = self.b.push(self.old.op_id(node), attrs, &operands, &types);
        self.map_results(node, &values);
        values
    }

    /// Copies a node with other attributes; its types are inferred anew and must stay the same.
    ///
    /// # Errors
    /// Where they do not.
    pub fn copy_with(&mut self, node: Node, attrs: Attrs) -> Result<Values, BuildError> {
        let operands = self.operands(node);
        let stated: Vec<TensorType> = self
            .old
            .results(node)
            .map(|v| self.old.ty(v).clone())
            .collect();
        let op = self.old.op_id(node);
        let values = self.at(node).emit_id(op, &operands, attrs, Some(&stated))?;
        self.map_results(node, &values);
        Ok(values)
    }

    fn map_results(&mut self, node: Node, values: &[Value]) {
        for (old, new) in self.old.results(node).zip(values) {
            self.map[old.index()] = Some(*new);
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
            let (a, b) = (self.old.ty(old), self.b.ty(*new));
            if a.meet(b).is_none() {
                return Err(invalid(format!(
                    "a result of type {a} cannot be replaced by {b}"
                )));
            }
        }
        self.map_results(node, values);
        for value in values {
            let def = self.b.graph().def(*value);
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
        let mut cx = Gradient {
            b: &mut self.b,
            attrs: self.old.attrs(node),
            operands: &operands,
            results: &results,
            arrived,
            wanted,
            given: &mut given,
        };
        self.old.op(node).gradient(&mut cx)?;
        Ok(given)
    }

    /// Puts a node of the new graph on a device.
    pub fn set_device(&mut self, node: Node, device: Option<Device>) {
        self.b.set_device(node, device);
    }

    /// Copies the old graph's outputs, each to what stands for its value.
    pub fn copy_outputs(&mut self) {
        for output in self.old.outputs() {
            let value = self.get(output.value);
            self.b.output(output.key.clone(), value);
        }
    }

    /// Names an output of the new graph.
    pub fn output(&mut self, key: OutputKey, value: Value) {
        self.b.output(key, value);
    }

    /// The new graph, provenance united.
    pub fn finish(mut self) -> Graph {
        let mut pairs = std::mem::take(&mut self.united);
        pairs.sort_unstable();
        pairs.dedup();
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let node = group[0].0;
            let own = self.b.graph().provenance_id(node);
            let old = self.old;
            let sets = group.iter().map(|(_, n)| old.provenance_id(*n));
            let united = self.b.provenance_mut().unite(sets.chain([own]));
            self.b.set_provenance(node, united);
        }
        let mut graph = self.b.finish();
        // Interned sets that no node carries any more would otherwise pile up from pass to pass.
        if !pairs.is_empty() {
            graph.provenance = Arc::new(compact_provenance(&mut graph));
        }
        graph
    }
}

fn compact_provenance(graph: &mut Graph) -> crate::Provenance {
    let mut fresh = crate::Provenance::default();
    let mut map: Vec<Option<crate::entity::ProvenanceId>> = vec![None; graph.provenance.len()];
    let mut set = Vec::new();
    for node in &mut graph.nodes {
        let slot = &mut map[node.provenance.index()];
        let id = *slot.get_or_insert_with(|| {
            set.clear();
            for origin in graph.provenance.set(node.provenance) {
                let path = fresh.intern_path(graph.provenance.path(origin.path));
                set.push(crate::Origin { path, ..*origin });
            }
            set.sort_unstable();
            fresh.intern_sorted(&set)
        });
        node.provenance = id;
    }
    fresh
}
