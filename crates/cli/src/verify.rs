//! `verify`: trains merged and alone, and compares every number.

use std::io::Write;

use serde_json::{Value as Json, json};
use syncarp_runtime::Trial;
use syncarp_runtime::verify::Difference;
use syncarp_standard::{Registries, Submitter};
use syncarp_sweep::Sweep;

use crate::args::VerifyArgs;
use crate::output::{print, print_json, table};
use crate::report::{Failure, Outcome};

/// Verifies a sweep.
///
/// # Errors
/// Where the sweep or the command line is wrong, or the engine fails as a whole.
pub(crate) fn verify(args: &VerifyArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let planner = args.placing.planner(&registries)?;
    let devices = args.placing.devices()?;
    let sweep = Sweep::load(&args.sweep)?;
    let submitted = Submitter::new(&registries).submit(&sweep)?;
    let trials: Vec<Trial> = submitted.into_iter().map(|s| s.trial).collect();
    let mut engine = registries.engine();
    let mut tell = |at: usize| {
        let (name, of) = (&trials[at].submission.name, trials.len());
        // Without standard error there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "alone, {} of {of}: {name}", at + 1);
    };
    let verify = syncarp_runtime::verify::verify;
    let differences = verify(
        &trials,
        &devices,
        &planner,
        &mut engine,
        args.steps,
        &mut tell,
    )
    .map_err(|error| Failure::work(error.to_string()))?;
    let bitwise = differences.iter().all(holds);
    if args.json {
        let models: Vec<Json> = differences.iter().map(entry).collect();
        print_json(&json!({ "bitwise": bitwise, "models": models }))?;
    } else {
        let names = ["model", "compared", "different", "largest", "where", "end"];
        let mut rows = vec![names.map(str::to_owned).to_vec()];
        rows.extend(differences.iter().map(|d| {
            let largest = format!("{:e}", d.largest);
            let numbers = [d.compared.to_string(), d.different.to_string(), largest];
            let [compared, different, largest] = numbers;
            vec![
                d.name.to_string(),
                compared,
                different,
                largest,
                d.place.clone(),
                d.end.clone(),
            ]
        }));
        let verdict = match bitwise {
            true => "every number is the same to the bit, merged and alone",
            false => "it was not shown that all numbers are the same, merged and alone",
        };
        print(&format!("{}\n{verdict}\n", table(&rows)))?;
    }
    Ok(if bitwise {
        Outcome::Done
    } else {
        Outcome::Wanting
    })
}

/// Whether a model is the same to the bit. Where it never came to a number, nothing was shown.
fn holds(difference: &Difference) -> bool {
    difference.is_bitwise() && difference.compared > 0
}

fn entry(difference: &Difference) -> Json {
    // JSON has no infinity, which stands for a number that only one side has.
    let largest = match difference.largest.is_finite() {
        true => json!(difference.largest),
        false => json!("inf"),
    };
    json!({
        "name": difference.name,
        "bitwise": holds(difference),
        "compared": difference.compared,
        "different": difference.different,
        "largest": largest,
        "where": difference.place,
        "end": difference.end,
    })
}
