//! A model's text form in a file, with its weights beside it.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use syncarp_diag::{Located, Source};
use syncarp_ir::{Initial, OpRegistry, Plan, Tier, check, parse, print};
use syncarp_weights::{load_weights, save_weights};

use crate::error::FrontendError;

/// The most bytes of text that are read.
const MAX_BYTES: u64 = 1 << 30;

/// Reads a plan from its text form (`.syn`), and where a file of the same stem with the extension
/// `safetensors` lies beside it, the data of all states whose content is given. Without such a
/// file these states have no data; engines then refuse the plan, everything else takes it.
///
/// # Errors
/// A file cannot be read; the text has a mistake, which is shown with its place, or is no sound
/// plan; or the weights do not belong to it.
pub fn load_text(path: &Path, ops: &Arc<OpRegistry>) -> Result<Plan, FrontendError> {
    let mut plan = parse(&read_source(path, MAX_BYTES)?, ops).map_err(FrontendError::Text)?;
    check(&plan, Tier::Full).map_err(|violations| FrontendError::Unsound {
        path: path.to_owned(),
        violations,
    })?;
    let weights = path.with_extension("safetensors");
    if has_contents(&plan) && weights.exists() {
        load_weights(&mut plan, &weights)?;
    }
    Ok(plan)
}

/// Reads a file of UTF-8.
///
/// # Errors
/// It cannot be read, has more bytes than these, or is something else.
pub(crate) fn read_source(path: &Path, most: u64) -> Result<Source, FrontendError> {
    let bytes = read(path, most)?;
    let name = path.display().to_string();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            let source = Source::new(name, text);
            let help = "a model is text in UTF-8; weights lie beside it, in safetensors";
            let place = Located::new(&source, valid..valid, "not UTF-8").with_help(help);
            Err(FrontendError::Text(place))
        }
    }
}

/// A file's bytes, unless they are too many.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, FrontendError> {
    let failed = |cause| FrontendError::File {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let too_large = |bytes| FrontendError::TooLarge {
        path: path.to_owned(),
        bytes,
        most,
    };
    if bytes > most {
        return Err(too_large(bytes));
    }
    // What is no plain file may be longer than it says, and never end.
    let mut read = Vec::new();
    file.take(most + 1).read_to_end(&mut read).map_err(failed)?;
    match read.len() as u64 > most {
        true => Err(too_large(read.len() as u64)),
        false => Ok(read),
    }
}

/// Writes a plan in its text form, and the data of states whose content is given, if there are
/// such, into a file of the same stem with the extension `safetensors`.
///
/// # Errors
/// A file cannot be written, or a state's data is not there or does not fit its type.
pub fn save_text(plan: &Plan, path: &Path) -> Result<(), FrontendError> {
    // Weights first: a text without its weights would be taken for one that needs none.
    if has_contents(plan) {
        save_weights(plan, &path.with_extension("safetensors"))?;
    }
    fs::write(path, print(plan)).map_err(|cause| FrontendError::File {
        path: path.to_owned(),
        cause,
    })
}

fn has_contents(plan: &Plan) -> bool {
    plan.states
        .iter()
        .any(|entry| matches!(entry.initial, Initial::Content(_)))
}
