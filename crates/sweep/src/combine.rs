//! Combining the values of settings: grid, tuples, random.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use syncarp_diag::{Located, Source};

use crate::MAX_MODELS;
use crate::error::Reports;
use crate::settings::{Domain, Setting, between};
use crate::spell;
use crate::template::kind_mistake;
use crate::value::{Spanned, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Combination {
    /// Every value with every other; the last setting varies fastest.
    Grid,
    /// The first values together, then the second ones, and so on.
    Tuples,
    /// So many draws.
    Random { draws: usize, seed: u64 },
}

/// Reads a block's `combine`.
pub(crate) fn parse(value: Option<&Spanned<Value>>, reports: &mut Reports) -> Combination {
    match value.map_or(Ok(Combination::Grid), |value| read(value, reports.source)) {
        Ok(combination) => combination,
        Err(mistake) => {
            reports.push(mistake);
            Combination::Grid
        }
    }
}

fn read(value: &Spanned<Value>, source: &Source) -> Result<Combination, Located> {
    const HELP: &str = "write \"grid\", \"tuples\" or `{ random = 8, seed = 0 }`";
    let table = match &value.value {
        Value::Str(name) if name == "grid" => return Ok(Combination::Grid),
        Value::Str(name) if name == "tuples" => return Ok(Combination::Tuples),
        Value::Table(table) => table,
        other => {
            let message = format!("there is no combination like {}", other.describe());
            return Err(Located::new(source, value.span.clone(), message).with_help(HELP));
        }
    };
    if let Some(mistake) =
        spell::unknown_keys(source, table, "`combine`", &["random", "seed"]).next()
    {
        return Err(mistake);
    }
    let Some(draws) = table.get("random") else {
        let mistake = spell::missing_key(source, value.span.clone(), "`combine`", "random");
        return Err(mistake.with_help(HELP));
    };
    let draws = match draws.value {
        Value::Int(count) if (1..=MAX_MODELS as i64).contains(&count) => count as usize,
        _ => {
            let message = format!("`random` is a whole number from 1 to {MAX_MODELS}");
            return Err(Located::new(source, draws.span.clone(), message));
        }
    };
    let seed = match table.get("seed") {
        None => 0,
        Some(Spanned {
            value: Value::Int(seed),
            ..
        }) if *seed >= 0 => seed.unsigned_abs(),
        Some(other) => {
            return Err(kind_mistake(
                source,
                &other.span,
                "a seed",
                "a whole number of at least 0",
                &other.value,
            ));
        }
    };
    Ok(Combination::Random { draws, seed })
}

/// The number of models that the settings combine to.
pub(crate) fn count(
    combination: Combination,
    settings: &[Setting],
    source: &Source,
) -> Result<usize, Located> {
    if let Combination::Random { draws, .. } = combination {
        return Ok(draws);
    }
    if let Some(setting) = settings.iter().find(|setting| setting.domain.is_random()) {
        let message = format!(
            "the setting `{}` can only be drawn at random",
            setting.name.value
        );
        return Err(Located::new(source, setting.name.span.clone(), message)
            .with_help("write `combine = { random = 8, seed = 0 }`, or give a list or a range"));
    }
    let mut lists = settings
        .iter()
        .filter_map(|setting| Some((&setting.name, setting.domain.count()?)));
    if combination == Combination::Tuples {
        let Some((first, length)) = lists.next() else {
            return Ok(1);
        };
        if let Some((name, other)) = lists.find(|(_, other)| *other != length) {
            let (name, first, span) = (&name.value, &first.value, name.span.clone());
            let message = format!("`{name}` has {other} values, `{first}` has {length}");
            return Err(Located::new(source, span, message)
                .with_help("in tuples all lists are equally long"));
        }
        return usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_MODELS)
            .ok_or_else(|| {
                let message = format!("the tuples make more than {MAX_MODELS} models");
                Located::new(source, first.span.clone(), message)
            });
    }
    lists
        .try_fold(1_usize, |product, (name, length)| {
            let length = usize::try_from(length).ok();
            let product = length.and_then(|length| product.checked_mul(length));
            product.filter(|product| *product <= MAX_MODELS).ok_or(name)
        })
        .map_err(|name| {
            let message = format!("the grid has more than {MAX_MODELS} models");
            Located::new(source, name.span.clone(), message)
                .with_help("draw some with `combine = { random = 100, seed = 0 }`")
        })
}

/// The settings' values in the model of this number in block `block`.
pub(crate) fn values(
    combination: Combination,
    settings: &[Setting],
    block: usize,
    index: usize,
) -> Vec<Value> {
    let mut values = Vec::with_capacity(settings.len());
    // The last setting varies fastest, so the grid's digits are found from the back.
    let mut rest = index as u64;
    for setting in settings.iter().rev() {
        let domain = &setting.domain;
        let count = domain.count().unwrap_or(1);
        values.push(match combination {
            Combination::Grid => {
                let place = rest % count;
                rest /= count;
                domain.at(place)
            }
            // What is counted has one value a tuple.
            Combination::Tuples => domain.at(index as u64),
            Combination::Random { seed, .. } => {
                draw(domain, word(seed, block, index, &setting.name.value))
            }
        });
    }
    values.reverse();
    values
}

/// Sixty-four random bits that depend on exactly these four things, so that a setting more or less
/// leaves the draws of all others as they were.
fn word(seed: u64, block: usize, draw: usize, setting: &str) -> u64 {
    let mut key = [0; 32];
    let parts = [seed, block as u64, draw as u64, hash(setting)];
    for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&part.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key).next_u64()
}

/// FNV-1a, which never changes, unlike the hashes of hash maps.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn draw(domain: &Domain, word: u64) -> Value {
    if let Domain::Between { low, high, log } = domain {
        let share = (word >> 11) as f64 / (1_u64 << 53) as f64;
        return Value::Float(between(*low, *high, *log, share));
    }
    let count = domain.count().unwrap_or(1);
    domain.at(((u128::from(word) * u128::from(count)) >> 64) as u64)
}
