//! Nodes that were typed before: a node with the op, attributes and operand types of an earlier one
//! has its result types, so that inference runs once for what recurs in every layer and model.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use crate::entity::{AttrsId, Node, OpId, TypeId, Value};
use crate::graph::Graph;

/// How many nodes are remembered, a power of two. A later one takes an earlier one's place.
const SLOTS: usize = 1024;

/// What decides the types of a node's results.
pub(crate) struct Signature<'a> {
    pub op: OpId,
    pub attrs: AttrsId,
    pub operands: &'a [Value],
    /// Types that were written down for the results.
    pub stated: Option<&'a [TypeId]>,
}

/// Recent nodes by their signatures.
#[derive(Default)]
pub(crate) struct Known {
    /// Node indices plus one; zero is none. Nodes with and without stated types lie apart.
    slots: Vec<u32>,
}

impl Signature<'_> {
    fn slot(&self, graph: &Graph) -> usize {
        let mut hasher = FxHasher::default();
        (self.op, self.attrs).hash(&mut hasher);
        for value in self.operands {
            graph.type_id(*value).hash(&mut hasher);
        }
        let upper = (hasher.finish() >> 32) as usize % SLOTS;
        upper * 2 + usize::from(self.stated.is_some())
    }

    fn is_of(&self, graph: &Graph, node: Node) -> bool {
        let operands = graph.operands(node);
        let types = |values: &[Value], i: usize| graph.type_id(values[i]);
        graph.op_id(node) == self.op
            && graph.attrs_id(node) == self.attrs
            && operands.len() == self.operands.len()
            && (0..operands.len()).all(|i| types(operands, i) == types(self.operands, i))
            && self.stated.is_none_or(|stated| {
                stated.len() == graph.result_count(node)
                    && (stated.iter().copied()).eq(graph.results(node).map(|v| graph.type_id(v)))
            })
    }
}

impl Known {
    /// An earlier node that has the result types of this signature.
    pub(crate) fn find(&self, graph: &Graph, signature: &Signature<'_>) -> Option<Node> {
        let slot = *self.slots.get(signature.slot(graph))?;
        let node = Node::new(slot.checked_sub(1)? as usize);
        signature.is_of(graph, node).then_some(node)
    }

    /// Remembers a node that was typed by inference, with or without stated types.
    pub(crate) fn remember(&mut self, graph: &Graph, signature: &Signature<'_>, node: Node) {
        if self.slots.is_empty() {
            self.slots = vec![0; SLOTS * 2];
        }
        self.slots[signature.slot(graph)] = u32::try_from(node.index() + 1).unwrap_or(0);
    }
}
