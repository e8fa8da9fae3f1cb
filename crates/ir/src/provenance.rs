//! Provenance: for every node, the models and source paths that it stands for.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::entity::{Model, ProvenanceId};
use crate::intern::Interner;

/// What a node does for the model it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Role {
    /// Part of the model as submitted.
    Forward,
    /// Part of its loss.
    Loss,
    /// Part of a metric.
    Metric,
    /// Part of a gradient.
    Gradient,
    /// Part of an optimizer update.
    Optimizer,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 5] = [
        Role::Forward,
        Role::Loss,
        Role::Metric,
        Role::Gradient,
        Role::Optimizer,
    ];

    /// Its name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Role::Forward => "forward",
            Role::Loss => "loss",
            Role::Metric => "metric",
            Role::Gradient => "gradient",
            Role::Optimizer => "optimizer",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One place that a node comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Origin {
    /// The model.
    pub model: Model,
    /// The interned path in that model; see [`Provenance::path`].
    pub path: u32,
    /// What the node does there.
    pub role: Role,
}

/// The interned provenance sets of a graph.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Shared by the graphs that a graph is rewritten to.
    paths: Arc<Interner<Arc<str>>>,
    origins: Vec<Origin>,
    ends: Vec<u32>,
    table: HashTable<u32>,
}

impl Provenance {
    /// Interns a path.
    pub fn intern_path(&mut self, path: &str) -> u32 {
        let index = match self.paths.find(path) {
            Some(index) => index,
            None => Arc::make_mut(&mut self.paths).intern(path.into()),
        };
        index as u32
    }

    /// The same paths, and no sets.
    pub(crate) fn without_sets(&self) -> Provenance {
        Provenance {
            paths: self.paths.clone(),
            ..Provenance::default()
        }
    }

    /// The path of an origin.
    pub fn path(&self, path: u32) -> &Arc<str> {
        self.paths.at(path as usize)
    }

    /// All paths in order of first appearance.
    pub fn paths(&self) -> &[Arc<str>] {
        self.paths.items()
    }

    fn range(ends: &[u32], index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 {
            0
        } else {
            ends[index - 1] as usize
        };
        start..ends[index] as usize
    }

    /// The origins of a set, sorted.
    pub fn set(&self, id: ProvenanceId) -> &[Origin] {
        &self.origins[Self::range(&self.ends, id.index())]
    }

    /// The number of distinct sets.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no sets.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The one set of one origin, if it was interned before.
    pub(crate) fn find_single(&self, model: Model, path: &str, role: Role) -> Option<ProvenanceId> {
        let path = self.paths.find(path)? as u32;
        let set: &[Origin] = &[Origin { model, path, role }];
        let hash = FxBuildHasher.hash_one(set);
        let at = |i: &u32| &self.origins[Self::range(&self.ends, *i as usize)] == set;
        let found = self.table.find(hash, at)?;
        Some(ProvenanceId::new(*found as usize))
    }

    /// Interns a set that is sorted and free of duplicates.
    pub fn intern_sorted(&mut self, set: &[Origin]) -> ProvenanceId {
        debug_assert!(set.windows(2).all(|w| w[0] < w[1]));
        let Provenance {
            origins,
            ends,
            table,
            ..
        } = self;
        let hash = FxBuildHasher.hash_one(set);
        if let Some(found) = table.find(hash, |i| &origins[Self::range(ends, *i as usize)] == set) {
            return ProvenanceId::new(*found as usize);
        }
        let index = ends.len();
        origins.extend_from_slice(set);
        ends.push(u32::try_from(origins.len()).expect("a graph has under 2^32 origins"));
        table.insert_unique(hash, index as u32, |i| {
            FxBuildHasher.hash_one(&origins[Self::range(ends, *i as usize)])
        });
        ProvenanceId::new(index)
    }

    /// The union of several sets.
    pub fn unite(&mut self, sets: impl IntoIterator<Item = ProvenanceId>) -> ProvenanceId {
        let mut all: Vec<Origin> = Vec::new();
        for id in sets {
            all.extend_from_slice(self.set(id));
        }
        all.sort_unstable();
        all.dedup();
        self.intern_sorted(&all)
    }

    /// The one set of one origin.
    pub fn single(&mut self, model: Model, path: &str, role: Role) -> ProvenanceId {
        let path = self.intern_path(path);
        self.intern_sorted(&[Origin { model, path, role }])
    }
}
