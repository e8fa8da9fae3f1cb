//! A line of models that wait to be planned.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::{ModelId, Time};

/// A turn in line. Turns are handed out once, in order of arrival, so a model that comes back
/// to the line with its old turn stands where it stood.
pub(crate) type Turn = u64;

/// A model in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) model: ModelId,
    /// When it came.
    pub(crate) since: Time,
    /// Whether it has to be planned by itself, because a plan with others in it failed.
    pub(crate) singly: bool,
}

/// First in, first out, with removal from the middle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line {
    waiting: BTreeMap<Turn, Waiting>,
    /// Up to this turn the planner has found no room, and will find none until a device is freed.
    refused_through: Option<Turn>,
}

impl Line {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn insert(&mut self, turn: Turn, waiting: Waiting) {
        self.waiting.insert(turn, waiting);
    }

    pub(crate) fn remove(&mut self, turn: Turn) {
        self.waiting.remove(&turn);
    }

    pub(crate) fn last_turn(&self) -> Option<Turn> {
        self.waiting.last_key_value().map(|(&turn, _)| turn)
    }

    /// The first that the planner has not refused already.
    pub(crate) fn head(&self) -> Option<(Turn, Waiting)> {
        self.open().next()
    }

    fn open(&self) -> impl Iterator<Item = (Turn, Waiting)> {
        let from = self
            .refused_through
            .map_or(Bound::Unbounded, Bound::Excluded);
        self.waiting
            .range((from, Bound::Unbounded))
            .map(|(&turn, &waiting)| (turn, waiting))
    }

    /// Takes the head and those behind it out of the line, at most `limit`. A model that has to
    /// be planned by itself is taken by itself.
    pub(crate) fn take(&mut self, limit: usize) -> Vec<(Turn, Waiting)> {
        let mut taken: Vec<(Turn, Waiting)> = Vec::new();
        for (turn, waiting) in self.open().take(limit) {
            if waiting.singly && !taken.is_empty() {
                break;
            }
            taken.push((turn, waiting));
            if waiting.singly {
                break;
            }
        }
        if taken.len() == self.waiting.len() {
            self.waiting.clear();
        } else {
            for (turn, _) in &taken {
                self.waiting.remove(turn);
            }
        }
        taken
    }

    /// There is no room for whoever stands here or before.
    pub(crate) fn refuse_through(&mut self, turn: Turn) {
        self.refused_through = self.refused_through.max(Some(turn));
    }

    /// There is more room than there was, so that everybody is to be considered again.
    pub(crate) fn reconsider(&mut self) {
        self.refused_through = None;
    }

    /// Takes everybody out, first in line first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Waiting> {
        std::mem::take(&mut self.waiting).into_values()
    }
}
