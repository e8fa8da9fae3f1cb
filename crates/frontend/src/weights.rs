//! Weights beside a text form, in safetensors.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use syncarp_ir::{ContentHash, DType, Initial, Plan, TensorData, TensorType};

use crate::error::FrontendError;
use crate::floats::{decode, encode};

/// The most bytes of weights that are read.
const MAX_BYTES: u64 = 64 << 30;

/// What a tensor is recognised by: BLAKE3 of its dtype, dims and elements, in hexadecimal digits.
/// None where a dim is no number.
pub fn content_hash(ty: &TensorType, data: &TensorData) -> Option<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    let name = ty.dtype?.name();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    let dims = ty.dims()?;
    hasher.update(&(dims.len() as u64).to_le_bytes());
    for dim in dims {
        hasher.update(&dim.known()?.to_le_bytes());
    }
    // Elements go in by the block: one call each would take longer than the hashing.
    let mut block = [0u8; 8 * 512];
    let mut feed = |elements: &mut dyn Iterator<Item = [u8; 8]>| {
        loop {
            let mut filled = 0;
            for (slot, element) in block.as_chunks_mut::<8>().0.iter_mut().zip(&mut *elements) {
                *slot = element;
                filled += 8;
            }
            hasher.update(&block[..filled]);
            if filled < block.len() {
                break;
            }
        }
    };
    match data {
        TensorData::Float(items) => feed(&mut items.iter().map(|x| x.to_bits().to_le_bytes())),
        TensorData::Int(items) => feed(&mut items.iter().map(|x| x.to_le_bytes())),
    }
    Some(ContentHash(hasher.finalize().to_hex().as_str().into()))
}

/// Reads the data of all states whose content is given, from a safetensors file in which each goes
/// by its content hash or by a path of the state. A content that is named by a label rather than
/// by its hash gets its hash for a name, so that equal names always mean equal data.
///
/// # Errors
/// The file cannot be read, is damaged, or lacks a tensor; or one has other dims, an element type
/// that the state's cannot hold, or another hash than is written.
pub fn load_weights(plan: &mut Plan, path: &Path) -> Result<(), FrontendError> {
    let bytes = read(path, MAX_BYTES)?;
    let wrong = |message: String| FrontendError::Weights {
        path: path.to_owned(),
        message,
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
    let tensors: BTreeMap<&str, TensorView<'_>> = file.iter().collect();
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
        let found = names.find_map(|name| Some((name, tensors.get(&**name)?)));
        let Some((name, tensor)) = found else {
            let path = paths.first().map_or("a state", |path| path);
            return Err(wrong(format!(
                "no tensor is called `{path}` or `{}`",
                hash.0
            )));
        };
        let data = tensor_data(tensor, &entry.ty).map_err(|m| wrong(format!("`{name}` {m}")))?;
        let real = content_hash(&entry.ty, &data);
        let real = real.ok_or_else(|| wrong(format!("`{name}` is for a state of unknown dims")))?;
        if *hash != real {
            if is_hash(&hash.0) {
                let message = format!("`{name}` has the hash {}, not {}", real.0, hash.0);
                return Err(wrong(message));
            }
            *hash = real;
        }
        contents.insert(hash.clone(), Arc::new(data));
    }
    plan.contents = contents;
    Ok(())
}

/// Writes the data of all states whose content is given, by content hash.
///
/// # Errors
/// The file cannot be written, or a state's type cannot hold its data.
pub fn save_weights(plan: &Plan, path: &Path) -> Result<(), FrontendError> {
    let wrong = |message: String| FrontendError::Weights {
        path: path.to_owned(),
        message,
    };
    let mut tensors: BTreeMap<&str, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for entry in &plan.states {
        let Initial::Content(hash) = &entry.initial else {
            continue;
        };
        if tensors.contains_key(&*hash.0) {
            continue;
        }
        let data = plan.contents.get(hash);
        let data = data.ok_or_else(|| wrong(format!("the data of `{}` is not there", hash.0)))?;
        let (Some(dtype), Some(dims)) = (entry.ty.dtype, entry.ty.numbers()) else {
            return Err(wrong(format!(
                "`{}` is {}, whose size is unknown",
                hash.0, entry.ty
            )));
        };
        let bytes = encode(dtype, data);
        let bytes = bytes.ok_or_else(|| wrong(format!("`{}` does not fit {dtype}", hash.0)))?;
        if entry.ty.elements() != Some(bytes.len() as u64 / dtype.size() as u64) {
            return Err(wrong(format!("`{}` does not fill {}", hash.0, entry.ty)));
        }
        tensors.insert(&hash.0, (stored(dtype), dims.to_vec(), bytes));
    }
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, (dtype, dims, bytes))| {
            TensorView::new(*dtype, dims.clone(), bytes).map(|view| (*name, view))
        })
        .collect();
    let bytes = views.and_then(|views| safetensors::serialize(views, None));
    let bytes = bytes.map_err(|error| wrong(error.to_string()))?;
    fs::write(path, bytes).map_err(|cause| FrontendError::File {
        path: path.to_owned(),
        cause,
    })
}

/// A file's bytes, unless they are too many.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, FrontendError> {
    let failed = |cause| FrontendError::File {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let too_large = |bytes| FrontendError::TooLarge {
        path: path.to_owned(),
        bytes,
        most,
    };
    if bytes > most {
        return Err(too_large(bytes));
    }
    // What is no plain file may be longer than it says, and never end.
    let mut read = Vec::new();
    file.take(most + 1).read_to_end(&mut read).map_err(failed)?;
    match read.len() as u64 > most {
        true => Err(too_large(read.len() as u64)),
        false => Ok(read),
    }
}

fn is_hash(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn stored(dtype: DType) -> Dtype {
    match dtype {
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::U8 => Dtype::U8,
        DType::I8 => Dtype::I8,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::Bool => Dtype::BOOL,
    }
}

/// A tensor for a state of this type: equal dims, and an element type that it holds exactly.
fn tensor_data(tensor: &TensorView<'_>, ty: &TensorType) -> Result<TensorData, String> {
    let found = DType::ALL
        .into_iter()
        .find(|d| stored(*d) == tensor.dtype());
    let (Some(found), Some(dtype)) = (found, ty.dtype) else {
        return Err(format!(
            "is of {:?}, which a state of type {ty} cannot hold",
            tensor.dtype()
        ));
    };
    if ty.numbers().as_deref() != Some(tensor.shape()) {
        return Err(format!("is {:?}, but the state is {ty}", tensor.shape()));
    }
    let wider = match (found, dtype) {
        (DType::F16 | DType::BF16, DType::F32) => true,
        (DType::F16 | DType::BF16 | DType::F32, DType::F64) => true,
        (DType::U8 | DType::I8, DType::I32 | DType::I64) | (DType::I32, DType::I64) => true,
        (found, dtype) => found == dtype,
    };
    if !wider {
        return Err(format!(
            "is of {found}, which a state of type {ty} cannot hold exactly"
        ));
    }
    let data = decode(found, tensor.data()).ok_or("has a part of an element at its end")?;
    match (&data, dtype) {
        (TensorData::Int(items), DType::Bool) if items.iter().any(|x| *x > 1) => {
            Err("holds a truth value that is neither 0 nor 1".to_owned())
        }
        _ => Ok(data),
    }
}
