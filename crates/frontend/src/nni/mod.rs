//! Model graphs in the JSON format of NNI's Retiarii.
//!
//! A file holds graphs of nodes and edges; one is the model, the others are cells, which nodes stand
//! for. Cells are inlined: a node `conv1` of a cell at `stem` gets the path `stem.conv1`, or the name
//! that it has in the Python module, so that states are called as in PyTorch's `state_dict`. Modules
//! are the layers of the same names, `aten::` operations ATen's functions, weights are drawn as the
//! layers draw them. The file tells no shapes; they come with the data.
//!
//! Reading goes in steps, one room each: `json` (text to values with places), `document` (values to
//! graphs by name), `wiring` (names to places), `inline` (graphs to ops).

mod document;
mod inline;
mod json;
mod module;
mod note;
mod prim;
mod wiring;

use std::path::Path;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{OpRegistry, Plan, TensorType, Tier, check};

pub use note::{Note, NoteKind};

use crate::error::FrontendError;
use crate::registry::LayerRegistry;
use crate::text::read_source;
use document::Document;
use wiring::{Wired, wire};

/// The most bytes of text that are read.
const MAX_BYTES: u64 = 1 << 28;

/// A model that was imported.
#[derive(Debug)]
pub struct Imported {
    /// The plan of the model: its graph `train`, whose result is `output`, or `output.0`,
    /// `output.1`, ... where it gives several.
    pub plan: Plan,
    /// What whoever imported it should know.
    pub notes: Vec<Note>,
}

/// A file that is read and found to be sound, but not lowered yet.
#[derive(Debug)]
pub struct ModelFile {
    document: Document,
    wired: Vec<Wired>,
}

impl ModelFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or has a mistake, which is shown with its place.
    pub fn read(path: &Path) -> Result<Self, FrontendError> {
        ModelFile::parse(read_source(path, MAX_BYTES)?)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It has a mistake, which is shown with its place.
    pub fn parse(source: Source) -> Result<Self, FrontendError> {
        let document = Document::parse(source).map_err(FrontendError::Text)?;
        let wired = wire(&document).map_err(FrontendError::Text)?;
        Ok(ModelFile { document, wired })
    }

    /// The names of the model's inputs, in order.
    pub fn inputs(&self) -> Vec<String> {
        inline::input_names(&self.document, &self.wired)
    }

    /// Lowers the model under this name. `inputs` are the types of inputs that are known already,
    /// whole batches (first dim `n`); without them types stay unknown, and functions that need to
    /// know a shape say so.
    ///
    /// # Errors
    /// An operation's parameters or operands do not fit it, which is shown with its place.
    pub fn lower(
        &self,
        name: &str,
        ops: &Arc<OpRegistry>,
        layers: &LayerRegistry,
        inputs: &[(&str, TensorType)],
    ) -> Result<Imported, FrontendError> {
        let lowered = inline::lower(&self.document, &self.wired, name, ops, layers, inputs);
        let (plan, more) = lowered.map_err(FrontendError::Text)?;
        check(&plan, Tier::Full).map_err(|violations| FrontendError::Lowering {
            model: name.to_owned(),
            violations,
        })?;
        let notes = self.document.notes.iter().cloned().chain(more).collect();
        Ok(Imported { plan, notes })
    }
}

/// Reads a model file; the model is called like the file. Its types stay unknown.
///
/// # Errors
/// As [`ModelFile::read`] and [`ModelFile::lower`].
pub fn load(
    path: &Path,
    ops: &Arc<OpRegistry>,
    layers: &LayerRegistry,
) -> Result<Imported, FrontendError> {
    ModelFile::read(path)?.lower(&model_name(path), ops, layers, &[])
}

/// What a model of a file is called: the file's name without its extension.
pub fn model_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}
