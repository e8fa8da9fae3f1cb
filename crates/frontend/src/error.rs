//! What can be wrong with what people write, and whose fault it is.

use std::path::PathBuf;

use syncarp_diag::Located;
use syncarp_ir::Violations;
use syncarp_weights::WeightsError;
use thiserror::Error;

use crate::export::ExportError;
use crate::registry::fold;

/// Why there is no model graph.
#[derive(Debug, Error)]
pub enum FrontendError {
    /// A mistake in the sweep file: of its author.
    #[error("{0}")]
    Sweep(Located),
    /// A mistake in a text form: of its author.
    #[error("{0}")]
    Text(Located),
    /// The data has no column that a model could read: a mistake of whoever wrote the data source.
    #[error("the data has no input column; there are: {columns}")]
    NoInput {
        /// The columns that there are.
        columns: String,
    },
    /// A file that cannot be read or written: of the file system, or of the path that was given.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// A file larger than is read.
    #[error("{}: {bytes} bytes are more than the {most} that are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        most: u64,
    },
    /// Weights that cannot be read or written, are damaged or belong to something else.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An exported program that is damaged, or asks for what there is not here.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A text form that types but is no sound plan: of its author.
    #[error("{}: {violations}", path.display())]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        violations: Violations,
    },
    /// A lowering that gave no sound plan: of the crate that a layer or an op comes from.
    #[error("the model `{model}` was lowered to an unsound plan: {violations}")]
    Lowering {
        /// The model's name.
        model: String,
        /// What is wrong with it.
        violations: Violations,
    },
}

impl FrontendError {
    /// The place of the mistake, where it has one.
    pub fn located(&self) -> Option<&Located> {
        match self {
            FrontendError::Sweep(place) | FrontendError::Text(place) => Some(place),
            _ => None,
        }
    }
}

/// Help for a name that is not known: the nearest one, then all of them.
pub(crate) fn suggest(name: &str, what: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("there are no {what}");
    }
    let folded: Vec<String> = known.iter().map(|known| fold(known)).collect();
    let near = match name.len() <= 64 {
        true => syncarp_ir::nearest(&fold(name), folded.iter().map(String::as_str)),
        false => None,
    };
    let near = near.and_then(|near| folded.iter().position(|name| name == near));
    let near = near.map_or_else(String::new, |near| {
        format!("did you mean `{}`? ", known[near])
    });
    let listed: Vec<&str> = known.iter().copied().take(80).collect();
    let more = if known.len() > listed.len() {
        ", ..."
    } else {
        ""
    };
    format!("{near}{what}: {}{more}", listed.join(", "))
}
