//! Rules by op: which are tried on a node is found by its op's id.

use std::sync::Arc;

use syncarp_ir::{OpId, OpRegistry, Purity};

use crate::rule::{Roots, Rule};
use crate::rules;

/// The rules of every op of a registry.
#[derive(Default)]
pub(crate) struct Index {
    /// All rules.
    pub rules: Vec<&'static Rule>,
    /// For every op, its rules' places in `rules`.
    by_op: Vec<Vec<usize>>,
    registry: Option<Arc<OpRegistry>>,
}

impl Index {
    /// The rules for the ops of a registry. Of opaque ops nothing is known, so they have none.
    pub(crate) fn new(registry: &Arc<OpRegistry>) -> Self {
        let rules: Vec<&'static Rule> = rules::all().collect();
        let mut by_op: Vec<Vec<usize>> = registry.iter().map(|_| Vec::new()).collect();
        for (place, rule) in rules.iter().enumerate() {
            let mut add = |id: OpId| {
                if registry.op(id).purity() != Purity::Opaque {
                    by_op[id.index()].push(place);
                }
            };
            match rule.roots {
                Roots::Named(names) => names
                    .iter()
                    .filter_map(|name| registry.find(name))
                    .for_each(&mut add),
                Roots::All(holds) => registry
                    .iter()
                    .filter(|(_, op)| holds(*op))
                    .for_each(|(id, _)| add(id)),
            }
        }
        let registry = Some(registry.clone());
        Index {
            rules,
            by_op,
            registry,
        }
    }

    /// Whether it is the index for this registry.
    pub(crate) fn is_for(&self, registry: &Arc<OpRegistry>) -> bool {
        let mine = self.registry.as_ref();
        mine.is_some_and(|mine| Arc::ptr_eq(mine, registry))
    }

    /// The places of an op's rules.
    pub(crate) fn of(&self, op: OpId) -> &[usize] {
        &self.by_op[op.index()]
    }
}
