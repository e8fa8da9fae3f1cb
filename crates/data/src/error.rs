//! The errors of this crate. Every variant says whose fault it is.

use std::path::{Path, PathBuf};

/// Why a data stream could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The operating system could not give the file: the path or the machine is at fault.
    #[error("cannot read the data file `{}`: {source}", path.display())]
    Io {
        /// The path after joining it with the base folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file was read but its content is not what its format promises: the file is at fault.
    #[error("the data file `{}` is malformed at {place}: {message}; expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in the file: line and column, array and row, or byte offset.
        place: String,
        /// What was found there.
        message: String,
        /// What should have been there.
        expected: String,
    },
    /// A setting of the `[data]` table is wrong: who wrote the table is at fault.
    #[error("the data setting `{setting}` is wrong: {message}; expected {expected}")]
    BadSpec {
        /// The setting's dotted name, such as `split.validation`.
        setting: String,
        /// What is wrong with it.
        message: String,
        /// What would be right.
        expected: String,
    },
    /// Rows handed over in memory do not fit together: the calling code is at fault.
    #[error("the in-memory data column `{column}` is wrong: {message}; expected {expected}")]
    BadParts {
        /// The column, or `(all)` where no single one is to blame.
        column: String,
        /// What is wrong with it.
        message: String,
        /// What would be right.
        expected: String,
    },
    /// Rows were asked for in a way that the column cannot serve: the calling code is at fault.
    #[error("cannot gather from the data column `{column}`: {message}")]
    BadGather {
        /// The column.
        column: String,
        /// What is wrong with the request.
        message: String,
    },
}

impl DataError {
    /// A mistake in the setting of this dotted name.
    pub(crate) fn spec(
        setting: impl Into<String>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        DataError::BadSpec {
            setting: setting.into(),
            message: message.into(),
            expected: expected.into(),
        }
    }

    /// A mistake in rows that were handed over in memory.
    pub(crate) fn parts(
        column: impl Into<String>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        DataError::BadParts {
            column: column.into(),
            message: message.into(),
            expected: expected.into(),
        }
    }
}

/// A mistake in a file's bytes, before it is known which file they came from.
///
/// Readers work on bytes alone, so that tests need no files; the loader adds the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where in the file.
    pub place: String,
    /// What was found there.
    pub message: String,
    /// What should have been there.
    pub expected: String,
}

impl Fault {
    /// A mistake at a place.
    pub fn new(
        place: impl Into<String>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Fault {
            place: place.into(),
            message: message.into(),
            expected: expected.into(),
        }
    }

    /// The mistake as an error about this file.
    pub fn at(self, path: &Path) -> DataError {
        DataError::Malformed {
            path: path.to_path_buf(),
            place: self.place,
            message: self.message,
            expected: self.expected,
        }
    }

    /// The same mistake with its place inside a larger one, such as an array of an archive.
    pub fn within(mut self, outer: &str) -> Self {
        self.place = format!("{outer}, {}", self.place);
        self
    }
}

/// What a reader of bytes may find wrong: the file, or the settings it is read with.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The bytes are at fault.
    Fault(Fault),
    /// A setting is at fault.
    Spec(DataError),
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        ReadError::Fault(fault)
    }
}

impl ReadError {
    /// The error about this file.
    pub fn at(self, path: &Path) -> DataError {
        match self {
            ReadError::Fault(fault) => fault.at(path),
            ReadError::Spec(error) => error,
        }
    }
}
