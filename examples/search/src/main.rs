//! An evolutionary search for a small classifier of handwritten digits. It submits a generation of
//! candidates, waits for their metrics, stops the worse half, and submits their children, on the
//! embedded engine: `cargo run --release -p syncarp-search`.

mod genome;
mod search;

use std::error::Error;
use std::io::Write;
use std::path::Path;

use search::{Plan, Scored, search};

/// The data of the digits sweep, and what all candidates have in common.
const BASE: &str = r#"
[data]
source = "digits.csv.gz"
input-shape = [1, 8, 8]
preprocess = [{ scale = 0.0625 }]
split = { validation = 0.2, stratify = true }
batch-size = 32

[evaluator]
loss = "cross-entropy"
metrics = ["accuracy"]
optimizer = "adam"
epochs = 1
"#;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../digits-sweep");

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan {
        base: BASE,
        folder: Path::new(DATA),
        devices: "cpu:0",
        classes: 10,
        generations: 6,
        candidates: 12,
        epochs: (3, 12),
        budget: 40_000,
        seed: 1,
    };
    let mut out = std::io::stdout().lock();
    let mut failed = None;
    let all = search(&plan, |generation, scored| {
        let trained = scored.iter().filter(|s| s.trained).count();
        let best = &scored[0];
        let line = writeln!(
            out,
            "generation {generation}: {} candidates, {trained} trained to the end, best {:.2} %: {}",
            scored.len(),
            100.0 * best.accuracy,
            best.genome
        );
        failed = line.err().or(failed.take());
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let Scored {
        genome, accuracy, ..
    } = &all[0];
    writeln!(
        out,
        "the best of {}: {:.2} %: {genome}",
        all.len(),
        100.0 * accuracy
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(budget: u64) -> Vec<Scored> {
        let plan = Plan {
            base: BASE,
            folder: Path::new(DATA),
            devices: "cpu:0",
            classes: 10,
            generations: 3,
            candidates: 6,
            epochs: (1, 3),
            budget,
            seed: 7,
        };
        search(&plan, |_, _| {}).unwrap()
    }

    #[test]
    fn a_search_finds_a_good_candidate_and_finds_it_again() {
        let all = small(u64::MAX);
        assert_eq!(all.len(), 18);
        assert_eq!(
            all.iter().filter(|s| s.trained).count(),
            9,
            "half is stopped early"
        );
        assert!(all[0].accuracy > 0.9, "{:?}", all[0]);
        assert_eq!(small(u64::MAX), all);
    }

    #[test]
    fn a_search_ends_with_its_budget() {
        assert_eq!(
            small(1).len(),
            6,
            "the first generation was begun with a budget"
        );
    }
}
