//! Weights beside a text form, in safetensors.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, View};
use syncarp_ir::{Content, ContentError, ContentHash, DType, Initial, Plan, Stored, TensorType};

use crate::elements::encode;
use crate::error::WeightsError;
use crate::hash::{content_hash, stored_hash};
use crate::stored::{FileBytes, StoredTensor};

/// The most bytes that the list of a file's tensors may take.
const MAX_HEADER: u64 = 100 << 20;

/// A safetensors file whose list of tensors is read.
struct Tensors {
    data: FileBytes,
    infos: BTreeMap<String, TensorInfo>,
}

impl Tensors {
    fn open(path: &Path) -> Result<Tensors, WeightsError> {
        let failed = |cause| WeightsError::File {
            path: path.to_owned(),
            cause,
        };
        let wrong = |message: &str| WeightsError::Wrong {
            path: path.to_owned(),
            message: message.to_owned(),
        };
        let file = FileBytes::open(path).map_err(failed)?;
        let cut = || wrong("is cut off: it is no whole safetensors file");
        let len = file.part(0, 8).ok_or_else(cut)?.read().map_err(failed)?;
        let len = u64::from_le_bytes(len.try_into().map_err(|_| cut())?);
        if len > MAX_HEADER {
            return Err(wrong(
                "is no safetensors file: its list of tensors has no sensible length",
            ));
        }
        let header = file.part(8, len).ok_or_else(cut)?.read().map_err(failed)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| wrong(&error.to_string()))?;
        let size = metadata.data_len() as u64;
        if file.len() - 8 - len != size {
            return Err(cut());
        }
        let data = file.part(8 + len, size).ok_or_else(cut)?;
        let infos = metadata.tensors().into_iter();
        let infos = infos.map(|(name, info)| (name, info.clone())).collect();
        Ok(Tensors { data, infos })
    }

    /// A tensor for a state of this type: equal dims, and an element type that it holds exactly.
    fn content(
        &self,
        info: &TensorInfo,
        ty: &TensorType,
    ) -> Result<(ContentHash, Content), String> {
        let found = DType::ALL.into_iter().find(|d| stored(*d) == info.dtype);
        let (Some(found), Some(dtype)) = (found, ty.dtype) else {
            let found = info.dtype;
            return Err(format!(
                "is of {found:?}, which a state of type {ty} cannot hold"
            ));
        };
        if ty.numbers().as_deref() != Some(&info.shape) {
            return Err(format!("is {:?}, but the state is {ty}", info.shape));
        }
        if found != dtype && !widens(found, dtype) {
            return Err(format!(
                "is of {found}, which a state of type {ty} cannot hold exactly"
            ));
        }
        let (from, to) = info.data_offsets;
        let bytes = self.data.part(from as u64, (to - from) as u64);
        let bytes = bytes.ok_or("lies outside the file")?;
        let dims = info.shape.iter().map(|d| *d as u64).collect();
        let tensor = StoredTensor::new(bytes, found, dims)?;
        if found != dtype {
            // What is to become wider has other bytes there than here.
            let data = tensor.load().map_err(|error| error.to_string())?;
            let hash = content_hash(ty, &data).ok_or("is for a state of unknown dims")?;
            return Ok((hash, Content::new(data)));
        }
        if dtype == DType::Bool {
            let mut sound = true;
            let read = tensor.for_each_block(|block| sound &= block.iter().all(|b| *b < 2));
            read.map_err(|cause| cause.to_string())?;
            if !sound {
                return Err("holds a truth value that is neither 0 nor 1".to_owned());
            }
        }
        let hash = stored_hash(&tensor).map_err(|cause| cause.to_string())?;
        Ok((hash, Content::stored(tensor)))
    }
}

/// Finds the data of all states whose content is given, in a safetensors file in which each goes by
/// its content hash or by a path of the state; the elements stay in the file until they are needed.
/// A content that is named by a label rather than by its hash gets its hash for a name, so that
/// equal names always mean equal data.
///
/// # Errors
/// The file cannot be read, is damaged, or lacks a tensor; or one has other dims, an element type
/// that the state's cannot hold, or another hash than is written.
pub fn load_weights(plan: &mut Plan, path: &Path) -> Result<(), WeightsError> {
    let wrong = |message: String| WeightsError::Wrong {
        path: path.to_owned(),
        message,
    };
    let file = Tensors::open(path)?;
    let mut paths: Vec<Vec<Arc<str>>> = vec![Vec::new(); plan.states.len()];
    for (path, state) in plan.models.iter().flat_map(|model| &model.states) {
        paths[state.index()].push(path.clone());
    }
    let mut contents = BTreeMap::new();
    for (entry, paths) in plan.states.iter_mut().zip(&paths) {
        let Initial::Content(hash) = &mut entry.initial else {
            continue;
        };
        let mut names = std::iter::once(&hash.0).chain(paths);
        let found = names.find_map(|name| Some((name, file.infos.get(&**name)?)));
        let Some((name, info)) = found else {
            let path = paths.first().map_or("a state", |path| path);
            return Err(wrong(format!(
                "no tensor is called `{path}` or `{}`",
                hash.0
            )));
        };
        let content = file.content(info, &entry.ty);
        let (real, content) = content.map_err(|m| wrong(format!("`{name}` {m}")))?;
        if *hash != real {
            if is_hash(&hash.0) {
                let message = format!("`{name}` has the hash {}, not {}", real.0, hash.0);
                return Err(wrong(message));
            }
            *hash = real;
        }
        contents.insert(hash.clone(), content);
    }
    plan.contents = contents;
    Ok(())
}

/// A tensor on its way into a file; it is loaded when it is written, and let go of then.
struct Outgoing<'p> {
    dtype: DType,
    dims: Vec<usize>,
    ty: &'p TensorType,
    content: &'p Content,
    hash: &'p ContentHash,
    /// The first thing that went wrong with any, since writing has no way of saying so.
    failure: &'p RefCell<Option<Failure>>,
}

enum Failure {
    Content(ContentError),
    Unfit(String),
}

impl Outgoing<'_> {
    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let (dtype, name) = (self.dtype, &self.hash.0);
        let data = self.content.load().map_err(Failure::Content)?;
        let bytes = encode(dtype, &data);
        let bytes =
            bytes.ok_or_else(|| Failure::Unfit(format!("`{name}` does not fit {dtype}")))?;
        if bytes.len() != self.data_len() {
            let ty = self.ty;
            return Err(Failure::Unfit(format!("`{name}` does not fill {ty}")));
        }
        Ok(bytes)
    }
}

impl View for Outgoing<'_> {
    fn dtype(&self) -> Dtype {
        stored(self.dtype)
    }

    fn shape(&self) -> &[usize] {
        &self.dims
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes().map_or_else(
            |failure| {
                self.failure.borrow_mut().get_or_insert(failure);
                Cow::Owned(vec![0; self.data_len()])
            },
            Cow::Owned,
        )
    }

    fn data_len(&self) -> usize {
        self.dims.iter().product::<usize>() * self.dtype.size()
    }
}

/// Writes the data of all states whose content is given, by content hash. A file of that name is
/// replaced once the new one is whole.
///
/// # Errors
/// The file cannot be written, or a state's type cannot hold its data.
pub fn save_weights(plan: &Plan, path: &Path) -> Result<(), WeightsError> {
    let wrong = |message: String| WeightsError::Wrong {
        path: path.to_owned(),
        message,
    };
    let failure = RefCell::new(None);
    let mut tensors: BTreeMap<&str, Outgoing<'_>> = BTreeMap::new();
    for entry in &plan.states {
        let Initial::Content(hash) = &entry.initial else {
            continue;
        };
        let content = plan.contents.get(hash);
        let content =
            content.ok_or_else(|| wrong(format!("the data of `{}` is not there", hash.0)))?;
        let (Some(dtype), Some(dims)) = (entry.ty.dtype, entry.ty.numbers()) else {
            return Err(wrong(format!(
                "`{}` is {}, whose size is unknown",
                hash.0, entry.ty
            )));
        };
        tensors.entry(&hash.0).or_insert_with(|| Outgoing {
            dtype,
            dims: dims.to_vec(),
            ty: &entry.ty,
            content,
            hash,
            failure: &failure,
        });
    }
    // The old file may be where the data comes from.
    let new = beside(path);
    let written = safetensors::serialize_to_file(tensors, None, &new);
    let written = match (failure.take(), written) {
        (Some(Failure::Content(error)), _) => Err(WeightsError::Content(error)),
        (Some(Failure::Unfit(message)), _) => Err(wrong(message)),
        (None, Err(error)) => Err(wrong(error.to_string())),
        (None, Ok(())) => fs::rename(&new, path).map_err(|cause| WeightsError::File {
            path: path.to_owned(),
            cause,
        }),
    };
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed is no further trouble.
        let _ = fs::remove_file(&new);
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn is_hash(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether every element of one dtype is one of another, larger dtype of its kind.
fn widens(from: DType, to: DType) -> bool {
    match (from, to) {
        (DType::F16 | DType::BF16, DType::F32) => true,
        (DType::F16 | DType::BF16 | DType::F32, DType::F64) => true,
        _ if !(from.is_integer() && to.is_integer()) => false,
        _ => from.size() < to.size() && (from.is_unsigned() || !to.is_unsigned()),
    }
}

fn stored(dtype: DType) -> Dtype {
    match dtype {
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::U8 => Dtype::U8,
        DType::I8 => Dtype::I8,
        DType::U16 => Dtype::U16,
        DType::I16 => Dtype::I16,
        DType::U32 => Dtype::U32,
        DType::I32 => Dtype::I32,
        DType::U64 => Dtype::U64,
        DType::I64 => Dtype::I64,
        DType::Bool => Dtype::BOOL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest and the largest integer of a dtype.
    fn range(dtype: DType) -> Option<(i128, i128)> {
        let bits = 8 * dtype.size() as u32;
        match dtype {
            d if !d.is_integer() => None,
            d if d.is_unsigned() => Some((0, (1 << bits) - 1)),
            _ => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
        }
    }

    #[test]
    fn integers_become_those_that_hold_all_of_them() {
        for from in DType::ALL {
            for to in DType::ALL.into_iter().filter(|to| *to != from) {
                let (Some((low, high)), Some((least, most))) = (range(from), range(to)) else {
                    continue;
                };
                let holds = least <= low && high <= most;
                assert_eq!(widens(from, to), holds, "{from} {to}");
            }
        }
    }

    #[test]
    fn floats_become_larger_floats_alone() {
        assert!(widens(DType::F16, DType::F32) && widens(DType::F32, DType::F64));
        assert!(!widens(DType::F16, DType::BF16) && !widens(DType::F64, DType::F32));
        assert!(!widens(DType::U8, DType::F32) && !widens(DType::Bool, DType::U8));
    }
}
