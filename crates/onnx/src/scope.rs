//! Names and what they stand for, in the graph, the body or the function that is being walked.

use std::collections::HashMap;

use crate::item::Item;
use crate::proto::{AttributeProto, OperatorSetIdProto};

/// The names of one graph, on top of those around it.
pub(crate) struct Scope<'p, 'm> {
    names: HashMap<&'m str, Item>,
    /// The graph around a body; a function sees nothing but its own names.
    parent: Option<&'p Scope<'p, 'm>>,
    /// Which version of each domain's ops is meant.
    pub opsets: &'m [OperatorSetIdProto],
    /// What a function was called with.
    pub bound: HashMap<&'m str, &'m AttributeProto>,
    /// What stands before the names of its nodes.
    pub path: String,
}

impl<'p, 'm> Scope<'p, 'm> {
    /// The names of a model or of a function.
    pub fn new(opsets: &'m [OperatorSetIdProto], path: String) -> Self {
        Scope {
            names: HashMap::new(),
            parent: None,
            opsets,
            bound: HashMap::new(),
            path,
        }
    }

    /// The names of a body within this one.
    pub fn inner<'q>(&'q self, path: String) -> Scope<'q, 'm>
    where
        'p: 'q,
    {
        Scope {
            names: HashMap::new(),
            parent: Some(self),
            opsets: self.opsets,
            bound: self.bound.clone(),
            path,
        }
    }

    pub fn get(&self, name: &str) -> Option<&Item> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(item) = here.names.get(name) {
                return Some(item);
            }
            scope = here.parent;
        }
        None
    }

    /// Gives a name its meaning; false where it has one here already.
    pub fn set(&mut self, name: &'m str, item: Item) -> bool {
        self.names.insert(name, item).is_none()
    }

    /// The version of a domain's ops; none where the file does not name the domain.
    pub fn version(&self, domain: &str) -> Option<i64> {
        let found = self.opsets.iter().find(|set| plain(&set.domain) == domain);
        found.map(|set| set.version)
    }
}

/// The default domain has two names.
pub(crate) fn plain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}
