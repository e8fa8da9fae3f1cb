//! Random streams: counter-based generators keyed by (seed, path, occurrence, step, element).
//!
//! The key names where in the submitted model a random op stands, never where it ended up in a
//! merged graph, so that merging cannot change a draw. The generator is ChaCha with eight rounds,
//! whose 64-bit stream number is the step and whose word position is the element.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Which stream a random op draws from.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct StreamKey {
    /// The evaluator's seed; none in a model that has not met its evaluator yet.
    pub seed: Option<u64>,
    /// Path of the op or parameter in the submitted model.
    pub path: Arc<str>,
    /// How many random ops of the same path came before it.
    pub occurrence: u32,
}

impl StreamKey {
    /// A stream whose seed the evaluator will give.
    pub fn unbound(path: impl Into<Arc<str>>, occurrence: u32) -> Self {
        StreamKey {
            seed: None,
            path: path.into(),
            occurrence,
        }
    }

    /// The same stream under a seed, where it has none yet.
    #[must_use]
    pub fn bind(&self, seed: u64) -> Self {
        StreamKey {
            seed: Some(self.seed.unwrap_or(seed)),
            ..self.clone()
        }
    }

    /// The 256-bit key of the generator: the seed, the occurrence and a hash of the path.
    pub fn generator_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.unwrap_or(0).to_le_bytes());
        key[8..12].copy_from_slice(&self.occurrence.to_le_bytes());
        key[12..16].copy_from_slice(&(self.path.len() as u32).to_le_bytes());
        key[16..].copy_from_slice(&fnv128(self.path.as_bytes()).to_le_bytes());
        key
    }

    /// A generator at element zero of a step.
    pub fn at(&self, step: u64) -> ChaCha8Rng {
        generator(self.generator_key(), step)
    }
}

/// A generator at element zero of a step, from a key made before.
pub fn generator(key: [u8; 32], step: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(step);
    rng
}

/// FNV-1a with 128 bits (Fowler, Noll, Vo): the same on every platform and in every release.
fn fnv128(bytes: &[u8]) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in bytes {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    hash
}

/// A float in [0, 1) with 24 random bits, exact in f32 as well as in f64.
pub fn unit(word: u32) -> f64 {
    f64::from(word >> 8) * (1.0 / 16_777_216.0)
}

/// Where a state's first value is drawn from.
#[derive(Clone, PartialEq, Debug)]
pub enum Distribution {
    /// Every element is this number.
    Constant(f64),
    /// Uniform in [low, high).
    Uniform(f64, f64),
    /// Normal with mean and standard deviation.
    Normal(f64, f64),
}

impl Distribution {
    /// Fills a tensor from a stream at step zero.
    pub fn fill(&self, stream: &StreamKey, out: &mut [f64]) {
        let mut rng = stream.at(0);
        match *self {
            Distribution::Constant(value) => out.fill(value),
            Distribution::Uniform(low, high) => {
                for x in out {
                    *x = low + (high - low) * unit(rng.next_u32());
                }
            }
            Distribution::Normal(mean, deviation) => {
                // Box and Muller (1958): two words an element, so that elements stay independent.
                for x in out {
                    let radius = (-2.0 * (1.0 - unit(rng.next_u32())).ln()).sqrt();
                    let angle = 2.0 * std::f64::consts::PI * unit(rng.next_u32());
                    *x = mean + deviation * radius * angle.cos();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_every_part_of_its_key() {
        let base = StreamKey {
            seed: Some(1),
            path: "drop".into(),
            occurrence: 0,
        };
        let first = |k: &StreamKey, step| k.at(step).next_u32();
        let a = first(&base, 0);
        assert_eq!(a, first(&base.clone(), 0));
        assert_ne!(a, first(&base, 1));
        assert_ne!(
            a,
            first(
                &StreamKey {
                    seed: Some(2),
                    ..base.clone()
                },
                0
            )
        );
        assert_ne!(
            a,
            first(
                &StreamKey {
                    occurrence: 1,
                    ..base.clone()
                },
                0
            )
        );
        assert_ne!(
            a,
            first(
                &StreamKey {
                    path: "drop2".into(),
                    ..base
                },
                0
            )
        );
    }

    #[test]
    fn distributions_have_their_moments() {
        let stream = StreamKey {
            seed: Some(7),
            path: "w".into(),
            occurrence: 0,
        };
        let mut x = vec![0.0; 20_000];
        Distribution::Normal(1.0, 2.0).fill(&stream, &mut x);
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let var = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
        assert!(
            (mean - 1.0).abs() < 0.05 && (var - 4.0).abs() < 0.15,
            "{mean} {var}"
        );
        Distribution::Uniform(-1.0, 3.0).fill(&stream, &mut x);
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        assert!((mean - 1.0).abs() < 0.05 && x.iter().all(|v| (-1.0..3.0).contains(v)));
    }
}
