//! Files as bytes: read once, hashed, and unzipped where they are gzipped.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{DataError, Fault};

/// DEFLATE cannot shrink anything by more than this factor, so a claim beyond it is a lie.
pub(crate) const MAX_DEFLATE_RATIO: u64 = 1032;

/// The files of one data stream, each read once however often the spec names it.
#[derive(Debug, Default)]
pub(crate) struct Files {
    read: BTreeMap<PathBuf, File>,
}

/// A file in memory.
#[derive(Debug)]
pub(crate) struct File {
    pub bytes: Vec<u8>,
    pub hash: String,
}

impl Files {
    /// Reads and hashes a file unless that is done already.
    pub fn read(&mut self, path: &Path) -> Result<&File, DataError> {
        if !self.read.contains_key(path) {
            let bytes = read_regular(path).map_err(|source| DataError::Io {
                path: path.to_path_buf(),
                source,
            })?;
            let hash = blake3::hash(&bytes).to_hex().to_string();
            self.read.insert(path.to_path_buf(), File { bytes, hash });
        }
        Ok(&self.read[path])
    }

    /// The bytes of a file that was read.
    pub fn bytes(&self, path: &Path) -> Result<&[u8], DataError> {
        match self.read.get(path) {
            Some(file) => Ok(&file.bytes),
            None => Err(DataError::Io {
                path: path.to_path_buf(),
                source: io::Error::new(io::ErrorKind::NotFound, "the file was not resolved"),
            }),
        }
    }
}

/// Reads a regular file. Devices and pipes are refused, since they may never end.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    std::fs::read(path)
}

/// The content of a file that may be gzipped, as a stream.
pub(crate) enum Content<'a> {
    Plain(&'a [u8]),
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Plain(bytes) => bytes.read(buffer),
            Content::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

impl<'a> Content<'a> {
    /// Opens bytes by their first two: no CSV text or IDX header starts as gzip does.
    pub fn open(bytes: &'a [u8], path: &Path) -> Result<Self, Fault> {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(Content::Gzip(Box::new(MultiGzDecoder::new(bytes))));
        }
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
        {
            return Err(Fault::new(
                "byte 0",
                "the name ends in `.gz` but the content is not gzipped",
                "the bytes 1f 8b",
            ));
        }
        Ok(Content::Plain(bytes))
    }

    /// The most bytes that can come out, given the bytes that lie in the file.
    pub fn at_most(&self, file_len: usize) -> u64 {
        match self {
            Content::Plain(_) => file_len as u64,
            Content::Gzip(_) => (file_len as u64).saturating_mul(MAX_DEFLATE_RATIO),
        }
    }
}
