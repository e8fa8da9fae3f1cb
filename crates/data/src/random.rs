//! Permutations drawn from a counter-based generator, keyed by what they are for.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream of draws is for, so that equal seeds never give two uses the same draws.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    /// The order in which an epoch visits the training rows.
    Epoch,
    /// Which rows are held out for validation and test.
    Split,
}

/// A generator keyed by its use, a seed and an index under it.
///
/// The three fill separate bytes of the key, so no two different triples share a stream.
pub(crate) fn generator(purpose: Use, seed: u64, index: u64) -> ChaCha8Rng {
    let tag: &[u8; 16] = match purpose {
        Use::Epoch => b"syncarp epoch   ",
        Use::Split => b"syncarp split   ",
    };
    let mut key = [0u8; 32];
    key[..16].copy_from_slice(tag);
    key[16..24].copy_from_slice(&seed.to_le_bytes());
    key[24..].copy_from_slice(&index.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A draw from `0..bound`, each value equally likely; `bound` must not be zero.
///
/// The high half of a 64-bit product scales the draw; the few products that would make some
/// values likelier than others are drawn again (Lemire's method).
fn below(rng: &mut ChaCha8Rng, bound: u32) -> u32 {
    let reject_under = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(bound);
        if product as u32 >= reject_under {
            return (product >> 32) as u32;
        }
    }
}

/// Shuffles in place (Fisher and Yates), every order equally likely.
///
/// The slice must have at most `u32::MAX` elements, which data sets are checked for.
pub(crate) fn shuffle(rng: &mut ChaCha8Rng, items: &mut [u32]) {
    for last in (1..items.len()).rev() {
        let other = below(rng, last as u32 + 1) as usize;
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_draws_stay_in_bounds_and_reach_every_value() {
        let mut rng = generator(Use::Epoch, 7, 0);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[below(&mut rng, 10) as usize] += 1;
        }
        // A binomial count with mean 1000 and deviation 30 stays well inside five deviations.
        assert!(
            seen.iter().all(|&count| (850..1150).contains(&count)),
            "{seen:?}"
        );
        assert_eq!(below(&mut rng, 1), 0);
    }

    #[test]
    fn every_order_of_three_is_about_equally_likely() {
        let mut rng = generator(Use::Split, 1, 2);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6_000 {
            let mut items = [0, 1, 2];
            shuffle(&mut rng, &mut items);
            *counts.entry(items).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn use_seed_and_index_each_change_the_stream() {
        let first = |purpose, seed, index| generator(purpose, seed, index).next_u64();
        let base = first(Use::Epoch, 1, 2);
        assert_eq!(base, first(Use::Epoch, 1, 2));
        assert_ne!(base, first(Use::Split, 1, 2));
        assert_ne!(base, first(Use::Epoch, 2, 2));
        assert_ne!(base, first(Use::Epoch, 2, 1));
        assert_ne!(base, first(Use::Epoch, 1, 3));
    }
}
