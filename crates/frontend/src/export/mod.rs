//! Programs that `torch.export` traced: archives (`.pt2`), and the compact form, a graph as JSON with
//! its tensors in safetensors beside it.
//!
//! What becomes of a program is a plan of one model. Its graph is `train`, in the form in which the
//! module was traced; batch norms and dropouts of a module in training are in their training form.
//! Inputs are called like the module's arguments, the first dim of the first one is the batch, `n`.
//! The result is `output`, or of several `output.0`, `output.1`, ... States have the names of the
//! module's state dict: parameters that ask for a gradient are trainable, buffers that the graph
//! changes are buffers, all others are frozen. Tied parameters are one state of several names.
//! Constants and buffers that the state dict does not hold have [`NOT_SAVED`] before their names.
//! Tensors stay in the file until somebody needs them.
//!
//! Reading goes in steps, one room each: `archive`, `pt2`, `compact` and `states` (files to a
//! program), `lower` with `memory` (a program to a graph, functions that change tensors in place
//! made such that give new ones).

mod archive;
mod compact;
mod error;
mod expression;
mod lower;
mod memory;
mod number;
mod path;
mod program;
mod pt2;
mod states;

use std::path::Path;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{Graph, GraphBuilder, OpRegistry, Plan, Rewriter, TRAIN, Tier, Value, check};
use syncarp_weights::FileBytes;

pub use error::{ExportError, UnsupportedOp};
pub use lower::NOT_SAVED;

use crate::draft::Draft;
use crate::error::FrontendError;
use archive::Archive;
use error::Fault;
use lower::Lowered;
use program::Program;
use states::States;

/// The most bytes of JSON that are read.
const MAX_TEXT: u64 = 1 << 30;

/// Whether a file is one that is read here: an archive by its extension `pt2`, or JSON in the
/// compact form by its beginning.
pub fn is_exported(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("pt2") => true,
        Some("json") => {
            let beginning = FileBytes::open(path).ok();
            let beginning = beginning.and_then(|file| file.part(0, file.len().min(256)));
            let beginning = beginning
                .and_then(|part| part.read().ok())
                .unwrap_or_default();
            compact::is_document(&String::from_utf8_lossy(&beginning))
        }
        _ => false,
    }
}

/// Reads a program; the model is called like the file.
///
/// # Errors
/// The file cannot be read, is damaged or of another version, or asks for something that is not
/// supported, which is told of all of it at once.
pub fn load(path: &Path, ops: &Arc<OpRegistry>) -> Result<Plan, FrontendError> {
    let file = FileBytes::open(path).map_err(|cause| ExportError::File {
        path: path.to_owned(),
        cause,
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let zipped = path.extension().is_none_or(|extension| extension != "json");
    let plan = match zipped {
        true => of_archive(&name, &file, ops),
        false => of_document(&name, path, &file, ops),
    };
    let wrong = |fault: Fault| ExportError::Wrong {
        path: path.to_owned(),
        place: fault.place,
        message: fault.message,
    };
    let plan = match plan.map_err(wrong)? {
        Ok(plan) => plan,
        Err(ops) => {
            let path = path.to_owned();
            return Err(ExportError::Unsupported { path, ops }.into());
        }
    };
    check(&plan, Tier::Full).map_err(|violations| FrontendError::Lowering {
        model: name.into_owned(),
        violations,
    })?;
    Ok(plan)
}

type Made = Result<Result<Plan, Vec<UnsupportedOp>>, Fault>;

fn of_archive(name: &str, file: &FileBytes, ops: &Arc<OpRegistry>) -> Made {
    let archive = Archive::open(file)?;
    let Some(entry) = archive.get(pt2::ENTRY)? else {
        // The tables of an older archive say what to do.
        states::of_archive(&archive)?;
        return Err(Fault::new(
            pt2::ENTRY,
            "is not there, or not stored as it is",
        ));
    };
    let text = text(&entry, pt2::ENTRY)?;
    let program = pt2::read(&text)?;
    let states = states::of_archive(&archive)?;
    plan(name, &program, &states, ops)
}

fn of_document(name: &str, path: &Path, file: &FileBytes, ops: &Arc<OpRegistry>) -> Made {
    let text = text(file, "document")?;
    let document = compact::read(&text)?;
    let beside = path.with_extension("safetensors");
    let beside = FileBytes::open(&beside)
        .map_err(|cause| Fault::new("safetensors", format!("{}: {cause}", beside.display())))?;
    let states = compact::states(&document, &beside)?;
    let program = compact::program(document)?;
    plan(name, &program, &states, ops)
}

fn text(bytes: &FileBytes, place: &str) -> Result<String, Fault> {
    if bytes.len() > MAX_TEXT {
        let message = format!(
            "{} bytes are more than the {MAX_TEXT} that are read",
            bytes.len()
        );
        return Err(Fault::new(place, message));
    }
    let bytes = bytes
        .read()
        .map_err(|cause| Fault::new(place, cause.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Fault::new(place, format!("not UTF-8: {error}")))
}

fn plan(name: &str, program: &Program<'_>, states: &States, ops: &Arc<OpRegistry>) -> Made {
    let source = Source::new(name, "");
    let mut draft = Draft::new(name, &source, GraphBuilder::new(ops.clone()), &[]);
    let results = match lower::lower(&mut draft, program, states)? {
        Lowered::Whole(results) => results,
        Lowered::Unsupported(ops) => return Ok(Err(ops)),
    };
    let results: Vec<(&str, Value)> = results.iter().map(|(name, v)| (&**name, *v)).collect();
    let mut plan = draft.finish(&results);
    if let Some(graph) = plan.graph(TRAIN) {
        let graph = live(graph);
        plan.set_graph(TRAIN, graph);
    }
    Ok(Ok(plan))
}

/// The graph without what no output needs, but with all inputs.
fn live(graph: &Graph) -> Graph {
    let live = graph.live();
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes() {
        if live[node.index()] || graph.op_name(node) == INPUT {
            rw.copy(node);
        }
    }
    rw.copy_outputs();
    rw.finish()
}
