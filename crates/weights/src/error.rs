//! What can be wrong with weights, and whose fault it is.

use std::path::PathBuf;

use syncarp_ir::ContentError;
use thiserror::Error;

/// Why weights could not be read or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// A file that cannot be read or written: of the file system, or of the path that was given.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// Weights that are damaged or belong to something else: of whoever made the file.
    #[error("{}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what was expected.
        message: String,
    },
    /// A plan's data cannot be had any more: of whoever changed the file that it lies in.
    #[error(transparent)]
    Content(#[from] ContentError),
}
