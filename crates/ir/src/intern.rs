//! Interning: equal things get equal ids, handed out in order of first appearance.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

/// A table of distinct values, each with a dense index.
#[derive(Clone, Debug)]
pub struct Interner<T> {
    items: Vec<T>,
    table: HashTable<u32>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner {
            items: Vec::new(),
            table: HashTable::new(),
        }
    }
}

impl<T: Hash + Eq> Interner<T> {
    /// The index of `item`, if it was interned before.
    pub fn get(&self, item: &T) -> Option<usize> {
        self.find(item)
    }

    /// The index of what is borrowed as `item`, if it was interned before.
    pub fn find<Q: Hash + Eq + ?Sized>(&self, item: &Q) -> Option<usize>
    where
        T: std::borrow::Borrow<Q>,
    {
        let hash = FxBuildHasher.hash_one(item);
        let same = |i: &u32| self.items[*i as usize].borrow() == item;
        self.table.find(hash, same).map(|i| *i as usize)
    }

    /// The index of `item`, which is added when it is new.
    pub fn intern(&mut self, item: T) -> usize {
        let hash = FxBuildHasher.hash_one(&item);
        if let Some(found) = self.table.find(hash, |i| self.items[*i as usize] == item) {
            return *found as usize;
        }
        let index = self.items.len();
        self.items.push(item);
        let items = &self.items;
        self.table.insert_unique(hash, index as u32, |i| {
            FxBuildHasher.hash_one(&items[*i as usize])
        });
        index
    }

    /// The item at an index that this table handed out.
    #[inline]
    pub fn at(&self, index: usize) -> &T {
        &self.items[index]
    }

    /// All items in order of first appearance.
    pub fn items(&self) -> &[T] {
        &self.items
    }
}
