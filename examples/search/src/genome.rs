//! What the search varies: the layers of a small classifier, and its learning rate.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const WIDTHS: &[u64] = &[8, 16, 32, 64, 128];
const ACTIVATIONS: &[&str] = &["relu", "tanh", "gelu", "silu"];
const DROPOUTS: &[f64] = &[0.0, 0.1, 0.3];
const RATES: &[f64] = &[0.0003, 0.001, 0.003, 0.01, 0.03];
const MOST_LAYERS: usize = 4;

/// A source of choices. The same seed makes the same choices.
pub struct Chance(ChaCha8Rng);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        // The bias of a remainder by numbers this small does not matter to a search.
        (self.0.next_u64() % count as u64) as usize
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// One candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Genome {
    pub widths: Vec<u64>,
    pub activation: &'static str,
    pub batch_norm: bool,
    pub dropout: f64,
    pub rate: f64,
}

impl Genome {
    /// Any candidate.
    pub fn random(chance: &mut Chance) -> Self {
        let layers = 1 + chance.below(2);
        Genome {
            widths: (0..layers).map(|_| chance.of(WIDTHS)).collect(),
            activation: chance.of(ACTIVATIONS),
            batch_norm: chance.below(2) == 1,
            dropout: chance.of(DROPOUTS),
            rate: chance.of(RATES),
        }
    }

    /// A candidate that differs in one respect.
    pub fn mutated(&self, chance: &mut Chance) -> Self {
        loop {
            let mut child = self.clone();
            let layers = child.widths.len();
            match chance.below(7) {
                0 => child.widths[chance.below(layers)] = chance.of(WIDTHS),
                1 if layers < MOST_LAYERS => {
                    child
                        .widths
                        .insert(chance.below(layers + 1), chance.of(WIDTHS));
                }
                2 if layers > 1 => {
                    child.widths.remove(chance.below(layers));
                }
                3 => child.activation = chance.of(ACTIVATIONS),
                4 => child.batch_norm = !child.batch_norm,
                5 => child.dropout = chance.of(DROPOUTS),
                6 => child.rate = chance.of(RATES),
                _ => {}
            }
            if child != *self {
                return child;
            }
        }
    }

    /// The candidate as a model of a sweep that ends in so many classes.
    pub fn model(&self, name: &str, classes: u64, epochs: u64) -> String {
        let mut layers = vec!["\"flatten\"".to_owned()];
        for width in &self.widths {
            layers.push(format!("{{ linear = {width} }}"));
            if self.batch_norm {
                layers.push("\"batch-norm\"".to_owned());
            }
            layers.push(format!("\"{}\"", self.activation));
            if self.dropout > 0.0 {
                layers.push(format!("{{ dropout = {} }}", self.dropout));
            }
        }
        layers.push(format!("{{ linear = {classes} }}"));
        format!(
            "[[model]]\nname = \"{name}\"\nevaluator.optimizer = {{ name = \"adam\", lr = {} }}\n\
             evaluator.epochs = {epochs}\nlayers = [{}]\n",
            self.rate,
            layers.join(", ")
        )
    }
}

impl fmt::Display for Genome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<String> = self.widths.iter().map(u64::to_string).collect();
        write!(f, "{} {}", widths.join("-"), self.activation)?;
        if self.batch_norm {
            f.write_str(", batch norm")?;
        }
        write!(f, ", dropout {}, rate {}", self.dropout, self.rate)
    }
}
