//! The arrays of an archive as they are, for callers that feed a model by hand.

use std::path::Path;

use crate::elements::decode_exact;
use crate::error::DataError;
use crate::npy;
use crate::zip::Archive;

/// The elements of an array, row-major, without loss.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Floats of any size.
    Float(Vec<f64>),
    /// Integers of any size, and booleans as 0 and 1.
    Int(Vec<i64>),
}

/// Reads all arrays of a NumPy archive (`.npz`): their names in alphabetical order, their shapes
/// and elements.
///
/// # Errors
/// [`DataError::Io`] where the file cannot be read, [`DataError::Malformed`] where it is no such
/// archive or holds something else than numbers.
pub fn read_arrays(path: &Path) -> Result<Vec<(String, Vec<usize>, Numbers)>, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let archive = Archive::open(&bytes).map_err(|fault| fault.at(path))?;
    let mut arrays = Vec::new();
    for file in archive.names() {
        let Some(name) = file.strip_suffix(".npy") else {
            continue;
        };
        let read = || {
            let content = archive.read(file)?.unwrap_or_default();
            let (header, data) = npy::open(&content)?;
            let numbers = decode_exact(data, header.element, header.big).map_err(npy::misfit)?;
            let numbers = match numbers {
                Numbers::Float(values) => Numbers::Float(header.row_major(values)),
                Numbers::Int(values) => Numbers::Int(header.row_major(values)),
            };
            Ok((name.to_owned(), header.shape, numbers))
        };
        let array = read().map_err(|fault: crate::error::Fault| {
            fault.within(&format!("array `{name}`")).at(path)
        })?;
        arrays.push(array);
    }
    Ok(arrays)
}
