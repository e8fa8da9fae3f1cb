//! A set of numbers that costs one entry a run of neighbours.

use std::collections::BTreeMap;

/// A set of numbers. Steps and epochs come mostly in sequence, so the set is mostly one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ranges {
    /// First to last of every run, both inclusive; runs never touch each other.
    runs: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Adds a number; false if it was there before.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let before = self
            .runs
            .range(..=number)
            .next_back()
            .map(|(&first, &last)| (first, last));
        if before.is_some_and(|(_, last)| last >= number) {
            return false;
        }
        let first = match before {
            Some((first, last)) if last + 1 == number => first,
            _ => number,
        };
        let follower = number
            .checked_add(1)
            .and_then(|next| self.runs.remove(&next));
        self.runs.insert(first, follower.unwrap_or(number));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ranges;

    #[test]
    fn a_sequence_is_one_run() {
        let mut set = Ranges::default();
        for number in 0..1000 {
            assert!(set.insert(number));
        }
        assert_eq!(set.runs.len(), 1);
    }

    #[test]
    fn the_largest_number_is_a_number() {
        let mut set = Ranges::default();
        assert!(set.insert(u64::MAX));
        assert!(set.insert(u64::MAX - 1));
        assert!(!set.insert(u64::MAX));
        assert_eq!(set.runs.len(), 1);
    }

    proptest! {
        #[test]
        fn it_is_a_set(numbers in prop::collection::vec(0u64..40, 0..80)) {
            let mut set = Ranges::default();
            let mut reference = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(set.insert(number), reference.insert(number));
            }
            let members: Vec<u64> = set.runs.iter().flat_map(|(&a, &b)| a..=b).collect();
            prop_assert!(members.iter().eq(reference.iter()));
            let apart = set.runs.values().zip(set.runs.keys().skip(1)).all(|(a, b)| a + 1 < *b);
            prop_assert!(apart);
        }
    }
}
