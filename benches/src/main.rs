//! Prints how many steps of models the embedded engine trains in a second, as one line of JSON.

use std::error::Error;
use std::io::Write;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use syncarp_benches::family::{BATCH, Family};
use syncarp_benches::measure::{Workload, measure};

/// Trains models of a family merged and prints model-steps per second as one line of JSON.
#[derive(Parser)]
struct Arguments {
    /// The family of models.
    #[arg(value_parser = PossibleValuesParser::new(Family::ALL.map(Family::name)))]
    family: String,
    /// How many models are merged.
    #[arg(long, default_value_t = 16)]
    models: usize,
    /// Steps of each model; the family's own number unless given.
    #[arg(long)]
    steps: Option<usize>,
    /// Threads of the engine.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments = Arguments::parse();
    let mut families = Family::ALL.into_iter();
    let family = families.find(|f| f.name() == arguments.family);
    let family = family.ok_or("there is no such family")?;
    let workload = Workload {
        family,
        models: arguments.models,
        steps: arguments.steps.unwrap_or(family.steps()),
        threads: arguments.threads,
    };
    let measured = measure(&workload)?;
    // The first two steps are not measured.
    let model_steps = (workload.steps - 2) * workload.models;
    let line = json!({
        "program": "syncarp",
        "family": family.name(),
        "models": workload.models,
        "threads": workload.threads,
        "batch": BATCH,
        "steps": workload.steps,
        "seconds": measured.seconds,
        "model_steps_per_second": model_steps as f64 / measured.seconds,
        "loss": measured.loss,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
