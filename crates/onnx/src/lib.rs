//! ONNX files to plans.
//!
//! What becomes of a file is a plan of one model with the graph `train`. Inputs have the file's
//! names, results too; a symbolic first dim of the first input is the batch, `n`, others keep their
//! names. Initialisers are frozen states under their names, recognised by content and read from the
//! file when somebody needs them; files of external data are read likewise. Arithmetic of shapes is
//! computed while the file is read, so that shapes are numbers or expressions of the batch.
//!
//! A file says nothing of how a model was trained, and exporters fold batch norms: this is the way for
//! inference and for frozen parts, which [`Imported::notes`] says, too.
//!
//! ```no_run
//! use std::sync::Arc;
//! use syncarp_onnx::{Given, OnnxFile};
//!
//! # fn main() -> Result<(), syncarp_onnx::OnnxError> {
//! # let ops = Arc::new(syncarp_ir::OpRegistry::new());
//! let file = OnnxFile::open("model.onnx".as_ref())?;
//! let imported = file.import(&ops, &Given::default())?;
//! println!("{}", syncarp_ir::print(&imported.plan));
//! # Ok(())
//! # }
//! ```
//!
//! Reading goes in steps, one room each: `proto` and `file` (bytes to messages), `tensor` (where
//! elements lie), `import` (the walk over nodes, with `scope` for names), `ops` (what each op
//! becomes, by way of a `call`), `known` (computing with what is known).

mod call;
mod error;
mod file;
mod hashes;
mod import;
mod item;
mod known;
mod ops;
mod proto;
mod scope;
mod symbols;
mod tensor;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use syncarp_ir::{OpRegistry, Plan, TensorData, TensorType, Tier, check};

pub use error::{OnnxError, UnsupportedOp};

use error::Fault;
use file::Files;
use import::Outcome;
use proto::ModelProto;

/// What is known of a model's inputs beside what the file says.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Types by the inputs' names.
    pub types: BTreeMap<String, TensorType>,
    /// Values of inputs that shapes depend on. Such an input is none of the plan any more.
    pub values: BTreeMap<String, (TensorType, TensorData)>,
}

/// An imported model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The plan, of one model.
    pub plan: Plan,
    /// What whoever uses it should know.
    pub notes: Vec<String>,
}

/// A file that is read, but for its weights.
pub struct OnnxFile {
    path: PathBuf,
    name: String,
    model: ModelProto,
    files: Files,
}

impl OnnxFile {
    /// Reads a file. The model is called like it.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<OnnxFile, OnnxError> {
        let (files, bytes) = Files::open(path).map_err(|cause| OnnxError::File {
            file: path.display().to_string(),
            cause,
        })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::decode(path, &name, bytes, files)
    }

    /// Reads a file that is in memory. It cannot refer to others.
    ///
    /// # Errors
    /// It is damaged.
    pub fn read(name: &str, bytes: Bytes) -> Result<OnnxFile, OnnxError> {
        Self::decode(Path::new(name), name, bytes, Files::none())
    }

    fn decode(path: &Path, name: &str, bytes: Bytes, files: Files) -> Result<OnnxFile, OnnxError> {
        let model = ModelProto::decode(bytes)
            .map_err(|error| Fault::new("file", format!("is no ONNX model: {error}")))
            .map_err(|fault| fault.in_file(path))?;
        Ok(OnnxFile {
            path: path.to_owned(),
            name: name.to_owned(),
            model,
            files,
        })
    }

    /// The names of its inputs, without those that are initialisers, too.
    pub fn inputs(&self) -> Vec<String> {
        let Some(graph) = &self.model.graph else {
            return Vec::new();
        };
        let stored: std::collections::BTreeSet<&str> = graph
            .initializer
            .iter()
            .map(|tensor| tensor.name.as_str())
            .collect();
        let names = graph.input.iter().map(|input| &input.name);
        names
            .filter(|name| !stored.contains(name.as_str()))
            .cloned()
            .collect()
    }

    /// The plan of the model.
    ///
    /// # Errors
    /// The file contradicts itself, or asks for something that is not supported, which is told of all
    /// of it at once.
    pub fn import(&self, ops: &Arc<OpRegistry>, given: &Given) -> Result<Imported, OnnxError> {
        let outcome = import::import(&self.name, &self.model, &self.files, ops, given);
        let file = self.path.display().to_string();
        let plan = match outcome.map_err(|fault| fault.in_file(&self.path))? {
            Outcome::Whole(plan) => *plan,
            Outcome::Unsupported(ops) => return Err(OnnxError::Unsupported { file, ops }),
        };
        check(&plan, Tier::Full).map_err(|violations| OnnxError::Unsound { file, violations })?;
        let notes = match plan.states.is_empty() {
            true => Vec::new(),
            false => vec![NOTE.to_owned()],
        };
        Ok(Imported { plan, notes })
    }
}

/// Reads one tensor as the format stores it by itself (`.pb`).
///
/// # Errors
/// It is damaged, or of elements that there are none of here.
pub fn read_tensor(bytes: Bytes) -> Result<(TensorType, TensorData), OnnxError> {
    let place = || Path::new("tensor");
    let wrong = |message: String| Fault::new("tensor", message).in_file(place());
    let proto = proto::TensorProto::decode(bytes).map_err(|error| wrong(error.to_string()))?;
    let tensor = tensor::FileTensor::new(&proto, &Files::none()).map_err(wrong)?;
    Ok((tensor.ty(), tensor.load().map_err(wrong)?))
}

const NOTE: &str = "the weights of an ONNX file are frozen: a file keeps neither the training form \
                    of norms and dropouts nor which parameters are trained; to train them, export \
                    the model by torch.export";
