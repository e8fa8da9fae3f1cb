//! What a tensor is recognised by.

use std::io;

use syncarp_ir::{ContentHash, DType, TensorData, TensorType};

use crate::elements::encode;
use crate::stored::StoredTensor;

/// What a tensor is recognised by: BLAKE3 of its dtype, dims and elements (row-major,
/// little-endian), in hexadecimal digits. None where a dim is no number, or where the dtype cannot
/// hold an element exactly.
pub fn content_hash(ty: &TensorType, data: &TensorData) -> Option<ContentHash> {
    let dims: Option<Vec<u64>> = ty.dims()?.iter().map(|dim| dim.known()).collect();
    let dtype = ty.dtype?;
    let mut hasher = head(dtype, &dims?);
    hasher.update(&encode(dtype, data)?);
    Some(finish(&hasher))
}

/// The same of a tensor in a file, which is read once, block by block.
///
/// # Errors
/// It cannot be read.
pub fn stored_hash(tensor: &StoredTensor) -> io::Result<ContentHash> {
    let mut hasher = head(tensor.dtype(), tensor.dims());
    tensor.for_each_block(|block| {
        hasher.update(block);
    })?;
    Ok(finish(&hasher))
}

fn head(dtype: DType, dims: &[u64]) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    let name = dtype.name();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(&(dims.len() as u64).to_le_bytes());
    for dim in dims {
        hasher.update(&dim.to_le_bytes());
    }
    hasher
}

fn finish(hasher: &blake3::Hasher) -> ContentHash {
    ContentHash(hasher.finalize().to_hex().as_str().into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use syncarp_ir::Stored;

    use super::*;
    use crate::stored::FileBytes;

    #[test]
    fn a_tensor_has_one_hash_wherever_it_lies() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..12).flat_map(|i| (i as f32).to_le_bytes()).collect();
        fs::write(file.path(), bytes).unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        let (dims, strides) = (vec![4, 3], vec![1, 4]);
        let plain = StoredTensor::new(bytes.clone(), DType::F32, vec![3, 4]).unwrap();
        let turned = StoredTensor::strided(bytes, DType::F32, dims, strides, 0).unwrap();
        let hashes = [plain, turned].map(|tensor| {
            let ty = TensorType::fixed(DType::F32, tensor.dims());
            let loaded = content_hash(&ty, &tensor.load().unwrap());
            assert_eq!(loaded, stored_hash(&tensor).ok());
            loaded
        });
        assert_ne!(hashes[0], hashes[1]);
    }
}
