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
    /// Sets of several origins by content.
    several: HashTable<u32>,
    /// Sets of one origin by content: most sets, which few ever look up. So a copy may lack them.
    single: HashTable<u32>,
    /// How many sets, the first ones, `single` was made for.
    known: u32,
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

    /// The one set of one origin, if it is known to be there.
    pub(crate) fn find_single(&self, model: Model, path: &str, role: Role) -> Option<ProvenanceId> {
        let path = self.paths.find(path)? as u32;
        let set: &[Origin] = &[Origin { model, path, role }];
        let hash = FxBuildHasher.hash_one(set);
        let same = |i: &u32| self.set(ProvenanceId::new(*i as usize)) == set;
        let found = self.single.find(hash, same)?;
        Some(ProvenanceId::new(*found as usize))
    }

    /// Interns a set that is sorted and free of duplicates.
    pub fn intern_sorted(&mut self, set: &[Origin]) -> ProvenanceId {
        debug_assert!(set.windows(2).all(|w| w[0] < w[1]));
        if set.len() == 1 {
            self.know_singles();
        }
        let Provenance {
            origins,
            ends,
            several,
            single,
            known,
            ..
        } = self;
        let table = if set.len() == 1 { single } else { several };
        let hash = FxBuildHasher.hash_one(set);
        if let Some(found) = table.find(hash, |i| &origins[Self::range(ends, *i as usize)] == set) {
            return ProvenanceId::new(*found as usize);
        }
        let index = ends.len();
        // A set of several is no single one to be made known.
        *known += u32::from(*known as usize == index);
        origins.extend_from_slice(set);
        ends.push(u32::try_from(origins.len()).expect("a graph has under 2^32 origins"));
        table.insert_unique(hash, index as u32, |i| {
            FxBuildHasher.hash_one(&origins[Self::range(ends, *i as usize)])
        });
        ProvenanceId::new(index)
    }

    /// Enters the sets of one origin that are not in their table yet.
    fn know_singles(&mut self) {
        let first = std::mem::replace(&mut self.known, self.ends.len() as u32) as usize;
        let hash = |i: u32| {
            let range = Self::range(&self.ends, i as usize);
            FxBuildHasher.hash_one(&self.origins[range])
        };
        for index in first..self.ends.len() {
            if Self::range(&self.ends, index).len() == 1 {
                let index = index as u32;
                self.single.insert_unique(hash(index), index, |i| hash(*i));
            }
        }
    }

    /// The same paths, no sets, and room for so many.
    pub(crate) fn without_sets(&self, sets: usize) -> Provenance {
        Provenance {
            paths: self.paths.clone(),
            origins: Vec::with_capacity(sets),
            ends: Vec::with_capacity(sets),
            ..Provenance::default()
        }
    }

    /// Takes a set over that is known not to be here yet.
    pub(crate) fn take(&mut self, set: &[Origin]) -> ProvenanceId {
        if set.len() != 1 {
            return self.intern_sorted(set);
        }
        let index = self.ends.len();
        self.origins.extend_from_slice(set);
        self.ends
            .push(u32::try_from(self.origins.len()).expect("a graph has under 2^32 origins"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_have_one_id_also_in_a_copy() {
        let mut all = Provenance::default();
        let a = all.single(Model::new(0), "a", Role::Forward);
        let b = all.single(Model::new(1), "a", Role::Forward);
        let both = all.unite([a, b, a]);
        assert_eq!(all.unite([b, both]), both);
        assert_eq!(all.single(Model::new(1), "a", Role::Forward), b);
        let mut copy = all.without_sets(2);
        let b2 = copy.take(all.set(b));
        let both2 = copy.take(all.set(both));
        let other = copy.single(Model::new(2), "b", Role::Loss);
        assert_eq!(copy.single(Model::new(1), "a", Role::Forward), b2);
        let a2 = copy.single(Model::new(0), "a", Role::Forward);
        assert_eq!(copy.unite([a2, b2]), both2);
        assert_eq!(copy.single(Model::new(2), "b", Role::Loss), other);
        assert_eq!(
            copy.find_single(Model::new(0), "a", Role::Forward),
            Some(a2)
        );
        assert_eq!(copy.len(), 4);
    }
}
