//! Tensors that stay in their file until somebody needs their elements.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncarp_ir::{ContentError, DType, Stored, TensorData};

use crate::elements::decode;

/// How much of a file is read at once.
const BLOCK: usize = 1 << 20;

/// A range of a file. Clones share the open file, so that it can be replaced meanwhile.
#[derive(Clone, Debug)]
pub struct FileBytes {
    file: Arc<File>,
    path: Arc<PathBuf>,
    at: u64,
    len: u64,
}

impl FileBytes {
    /// A whole file.
    ///
    /// # Errors
    /// It cannot be opened, or is no file.
    pub fn open(path: &Path) -> io::Result<FileBytes> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("is no regular file"));
        }
        Ok(FileBytes {
            len: metadata.len(),
            file: Arc::new(file),
            path: Arc::new(path.to_owned()),
            at: 0,
        })
    }

    /// A part of the range; none where it does not lie inside.
    pub fn part(&self, at: u64, len: u64) -> Option<FileBytes> {
        let end = at.checked_add(len)?;
        (end <= self.len).then(|| FileBytes {
            at: self.at + at,
            len,
            ..self.clone()
        })
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file that it is a range of.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of the bytes.
    ///
    /// # Errors
    /// They cannot be read, or the file has become shorter.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        read_exact_at(&self.file, &mut bytes, self.at)?;
        Ok(bytes)
    }

    /// Hands the bytes out block by block, in order.
    ///
    /// # Errors
    /// They cannot be read, or the file has become shorter.
    pub fn for_each_block(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut block = vec![0; BLOCK.min(usize::try_from(self.len).unwrap_or(BLOCK))];
        let mut done = 0;
        while done < self.len {
            let left = usize::try_from(self.len - done).unwrap_or(BLOCK);
            let now = left.min(block.len());
            read_exact_at(&self.file, &mut block[..now], self.at + done)?;
            each(&block[..now]);
            done += now as u64;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        at += read as u64;
    }
    Ok(())
}

/// A tensor in a file, little-endian.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    bytes: FileBytes,
    dtype: DType,
    dims: Vec<u64>,
    /// Where its elements are not row-major one after the other: the distance, in elements, of
    /// neighbours along each axis, and of the first element from the bytes' beginning.
    layout: Option<(Vec<u64>, u64)>,
}

impl StoredTensor {
    /// A row-major tensor that fills the bytes.
    ///
    /// # Errors
    /// It does not; the message says what was expected.
    pub fn new(bytes: FileBytes, dtype: DType, dims: Vec<u64>) -> Result<StoredTensor, String> {
        let size = size_of(dtype, &dims)?;
        if bytes.len() != size {
            let len = bytes.len();
            return Err(format!(
                "{dtype}{dims:?} takes {size} bytes, there are {len}"
            ));
        }
        Ok(StoredTensor {
            bytes,
            dtype,
            dims,
            layout: None,
        })
    }

    /// A tensor in a storage that may hold more: `strides` and `offset` in elements.
    ///
    /// # Errors
    /// It does not lie inside; the message says what was expected.
    pub fn strided(
        bytes: FileBytes,
        dtype: DType,
        dims: Vec<u64>,
        strides: Vec<u64>,
        offset: u64,
    ) -> Result<StoredTensor, String> {
        let size = size_of(dtype, &dims)?;
        if strides.len() != dims.len() {
            let (strides, dims) = (strides.len(), dims.len());
            return Err(format!("there are {strides} strides for {dims} dims"));
        }
        let last = || {
            let steps = dims.iter().zip(&strides);
            let mut last = steps.map(|(d, s)| (d - 1).checked_mul(*s));
            let last = last.try_fold(offset, |sum, step| sum.checked_add(step?))?;
            last.checked_add(1)?.checked_mul(dtype.size() as u64)
        };
        if size > 0 && last().is_none_or(|end| end > bytes.len()) {
            let len = bytes.len();
            return Err(format!(
                "{dtype}{dims:?} with strides {strides:?} from {offset} lies outside its {len} bytes"
            ));
        }
        // Row-major ones, which nearly all are, are a range of their own.
        let mut dense = 1u64;
        let row_major = dims.iter().zip(&strides).rev().all(|(d, s)| {
            let fits = *d == 1 || *s == dense;
            dense = dense.saturating_mul(*d);
            fits
        });
        if row_major || size == 0 {
            let at = if size == 0 {
                0
            } else {
                offset * dtype.size() as u64
            };
            let bytes = bytes.part(at, size).ok_or("lies outside its bytes")?;
            return StoredTensor::new(bytes, dtype, dims);
        }
        // Strides of zero repeat elements: a small file must not claim a tensor of any size.
        if size / 64 > bytes.len() {
            return Err(format!(
                "{dtype}{dims:?} with strides {strides:?} repeats too much"
            ));
        }
        Ok(StoredTensor {
            bytes,
            dtype,
            dims,
            layout: Some((strides, offset)),
        })
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dims.
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// How many bytes the elements take.
    pub fn size(&self) -> u64 {
        self.dims.iter().product::<u64>() * self.dtype.size() as u64
    }

    /// Hands the elements' bytes out block by block, row-major.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn for_each_block(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        match self.layout {
            None => self.bytes.for_each_block(each),
            Some(_) => {
                each(&self.row_major()?);
                Ok(())
            }
        }
    }

    fn row_major(&self) -> io::Result<Vec<u8>> {
        let bytes = self.bytes.read()?;
        let Some((strides, offset)) = &self.layout else {
            return Ok(bytes);
        };
        let width = self.dtype.size();
        let mut out = Vec::with_capacity(usize::try_from(self.size()).map_err(io::Error::other)?);
        let mut at = vec![0u64; self.dims.len()];
        let count: u64 = self.dims.iter().product();
        for _ in 0..count {
            let steps = at.iter().zip(strides).map(|(i, s)| i * s);
            let from = (offset + steps.sum::<u64>()) as usize * width;
            out.extend_from_slice(&bytes[from..from + width]);
            for axis in (0..at.len()).rev() {
                at[axis] += 1;
                if at[axis] < self.dims[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
        Ok(out)
    }
}

impl Stored for StoredTensor {
    fn load(&self) -> Result<TensorData, ContentError> {
        let path = self.bytes.path().display();
        let bytes = self.row_major();
        let bytes = bytes.map_err(|cause| ContentError::new(format!("{path}: {cause}")))?;
        if self.dtype == DType::Bool && bytes.iter().any(|b| *b > 1) {
            let message = format!("{path}: holds a truth value that is neither 0 nor 1");
            return Err(ContentError::new(message));
        }
        let data = decode(self.dtype, &bytes);
        data.ok_or_else(|| ContentError::new(format!("{path}: holds a part of an element")))
    }
}

fn size_of(dtype: DType, dims: &[u64]) -> Result<u64, String> {
    let count = dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
    let size = count.and_then(|n| n.checked_mul(dtype.size() as u64));
    size.filter(|size| *size <= i64::MAX as u64)
        .ok_or_else(|| format!("{dtype}{dims:?} is too large for any memory"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(bytes: &[u8]) -> FileBytes {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        FileBytes::open(file.path()).unwrap()
    }

    fn ints(tensor: &StoredTensor) -> Vec<i64> {
        match tensor.load().unwrap() {
            TensorData::Int(items) => items,
            TensorData::Float(_) => panic!("floats"),
        }
    }

    #[test]
    fn strides_and_offsets_are_followed() {
        let bytes = file(&[0, 1, 2, 3, 4, 5, 6]);
        let plain = StoredTensor::strided(bytes.clone(), DType::U8, vec![2, 3], vec![3, 1], 1);
        assert_eq!(ints(&plain.unwrap()), [1, 2, 3, 4, 5, 6]);
        let turned = StoredTensor::strided(bytes.clone(), DType::U8, vec![3, 2], vec![1, 3], 0);
        assert_eq!(ints(&turned.unwrap()), [0, 3, 1, 4, 2, 5]);
        let repeated = StoredTensor::strided(bytes.clone(), DType::U8, vec![3, 2], vec![0, 1], 5);
        assert_eq!(ints(&repeated.unwrap()), [5, 6, 5, 6, 5, 6]);
        let empty = StoredTensor::strided(bytes, DType::U8, vec![0, 2], vec![9, 9], 99);
        assert!(ints(&empty.unwrap()).is_empty());
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let bytes = file(&[0; 8]);
        let strided = |dims: &[u64], strides: &[u64], offset| {
            let (dims, strides) = (dims.to_vec(), strides.to_vec());
            StoredTensor::strided(bytes.clone(), DType::U8, dims, strides, offset)
        };
        assert!(strided(&[2, 4], &[4, 1], 0).is_ok());
        assert!(strided(&[2, 4], &[4, 1], 1).is_err());
        assert!(strided(&[2], &[u64::MAX], 1).is_err());
        assert!(strided(&[2], &[1, 1], 0).is_err());
        assert!(strided(&[1 << 40], &[0], 0).is_err(), "repeats too much");
        assert!(StoredTensor::new(bytes.clone(), DType::F32, vec![3]).is_err());
        assert!(StoredTensor::new(bytes.clone(), DType::F32, vec![u64::MAX, 2]).is_err());
        assert!(bytes.part(u64::MAX, 2).is_none());
    }
}
