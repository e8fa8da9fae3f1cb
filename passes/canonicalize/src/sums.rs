//! Which rewrites keep the order of gradients' sums.
//!
//! Before differentiation, the gradient of a value is the sum of what its users give it, in the
//! users' order. A rewrite that lets a value have other users may round that sum otherwise. So, of
//! values that depend on a trainable parameter, only those get new users whose sums stay: a sum of
//! one, of two (which may be swapped), or the same sum at another place.

use syncarp_ir::core_ops::STATE;
use syncarp_ir::{Graph, Node, Plan, StateKind, Value};

use crate::rule::{Become, Gradient, New, Rule, Site};

/// What is known of the values of the new graph.
pub(crate) struct Sums<'g> {
    old: &'g Graph,
    /// For every value of the old graph, how many operands and outputs refer to it.
    old_uses: Vec<u32>,
    /// For every state, whether it is trained.
    trainable: Vec<bool>,
    /// For every value of the new graph, its uses there, and those that are still to come.
    uses: Vec<u32>,
    /// For every value of the new graph, whether a trainable parameter lies in its cone.
    trained: Vec<bool>,
}

impl<'g> Sums<'g> {
    /// The sums of a graph that is to be differentiated; none where nothing is trained.
    pub(crate) fn new(old: &'g Graph, plan: &Plan) -> Option<Self> {
        let kinds = plan.states.iter().map(|s| s.kind == StateKind::Trainable);
        let trainable: Vec<bool> = kinds.collect();
        trainable.contains(&true).then(|| Sums {
            old,
            old_uses: old.use_counts(),
            trainable,
            uses: Vec::with_capacity(old.value_count()),
            trained: Vec::with_capacity(old.value_count()),
        })
    }

    /// Whether a rewrite of what an old node became so far keeps every gradient's bits.
    pub(crate) fn allow(&self, site: &Site<'_>, node: Node, rule: &Rule, new: &Become) -> bool {
        if !site.operands.iter().any(|v| self.trained[v.index()]) {
            return true;
        }
        if rule.gradient == Gradient::Other {
            return false;
        }
        let uses = |v: Value| self.uses[v.index()];
        let news: &[New] = match new {
            Become::Attrs(_) => return true,
            Become::Node { operands, .. } => operands,
            Become::Values(news) => news,
        };
        let named = named(news);
        let added = self.trained_without(&named, site.operands);
        let left = self.trained_without(site.operands, &named);
        match (&left[..], &added[..]) {
            ([], []) => {}
            // What is between dies, so that this node takes its place as a user of x.
            ([between], [x]) => {
                let def = site.graph.def(*between);
                let takes = uses(*between) == 1 && site.graph.operands(def).contains(x);
                if !takes {
                    return false;
                }
            }
            _ => return false,
        }
        match new {
            Become::Values(news) => {
                // All users of a result take this place at x, or one of two users of x is another.
                let keeps = |(result, new): (Value, &New)| match new {
                    New::Value(x) if self.trained[x.index()] => {
                        uses(*x) == 1 || self.old_uses[result.index()] <= 1 && uses(*x) <= 2
                    }
                    _ => true,
                };
                self.old.results(node).zip(news).all(keeps)
            }
            _ => added.iter().all(|x| uses(*x) <= 2),
        }
    }

    fn trained_without(&self, values: &[Value], without: &[Value]) -> Vec<Value> {
        let values = values.iter().copied();
        values
            .filter(|v| self.trained[v.index()] && !without.contains(v))
            .collect()
    }

    /// Tells that what becomes of a node has other operands now.
    pub(crate) fn moved(&mut self, graph: &Graph, from: &[Value], to: &[Value]) {
        self.grow(graph);
        for value in to {
            self.uses[value.index()] += 1;
        }
        self.release(graph, from);
    }

    /// Tells that an old node's results are values of the new graph, and its operands are not used.
    pub(crate) fn replaced(
        &mut self,
        graph: &Graph,
        node: Node,
        operands: &[Value],
        values: &[Value],
    ) {
        self.grow(graph);
        for (old, new) in self.old.results(node).zip(values) {
            self.uses[new.index()] += self.old_uses[old.index()];
        }
        self.release(graph, operands);
    }

    /// Tells that an old node was emitted as the newest node of the new graph.
    pub(crate) fn emitted(&mut self, graph: &Graph, node: Node, values: &[Value]) {
        self.grow(graph);
        for (old, new) in self.old.results(node).zip(values) {
            self.uses[new.index()] = self.old_uses[old.index()];
        }
        let Some(first) = values.first() else { return };
        let new = graph.def(*first);
        let state = graph.attrs(new).state("of");
        let own = graph.op_name(new) == STATE && state.is_some_and(|s| self.trainable[s.index()]);
        let operands = graph.operands(new);
        let trained = own || operands.iter().any(|v| self.trained[v.index()]);
        for value in values {
            self.trained[value.index()] = trained;
        }
    }

    /// Takes note of the new graph's newest values: constants, unless more is said of them.
    fn grow(&mut self, graph: &Graph) {
        let newest = graph.value_count().max(self.uses.len());
        self.uses.resize(newest, 0);
        self.trained.resize(newest, false);
    }

    /// Takes uses away; a node that nothing uses any more uses nothing.
    fn release(&mut self, graph: &Graph, values: &[Value]) {
        let mut dead: Vec<Value> = values.to_vec();
        while let Some(value) = dead.pop() {
            self.uses[value.index()] -= 1;
            let def = graph.def(value);
            if graph.results(def).all(|v| self.uses[v.index()] == 0) {
                dead.extend_from_slice(graph.operands(def));
            }
        }
    }
}

fn named(news: &[New]) -> Vec<Value> {
    let values = news.iter().map(|new| match new {
        New::Value(value) => Some(*value),
        New::Constant(..) => None,
    });
    values.flatten().collect()
}
