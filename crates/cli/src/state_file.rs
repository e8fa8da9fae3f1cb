//! A model's states as a safetensors file.
//!
//! The format is eight bytes of length, a JSON header and the tensors' bytes. It is written here
//! because the header's metadata must come out in one order, so that equal states are equal files.

use serde_json::{Map, Value as Json, json};
use syncarp_engine::{NamedTensor, Snapshot};
use syncarp_ir::TensorData;

/// The bytes of a snapshot's file: each tensor by its path, floats as F32 (what the engine
/// computes in), integers as I64; and as metadata how far the training was.
pub(crate) fn encode(snapshot: &Snapshot, optimizer: &str) -> Vec<u8> {
    let mut header = Map::new();
    header.insert(
        "__metadata__".to_owned(),
        json!({
            "epoch": snapshot.epoch.to_string(),
            "step": snapshot.step.to_string(),
            "optimizer": optimizer,
            "lr": format!("{:?}", snapshot.rate),
        }),
    );
    // 64-bit tensors go first, so that every tensor's bytes are aligned to its elements.
    let wide = |tensor: &&NamedTensor| matches!(tensor.data, TensorData::Int(_));
    let (ints, floats): (Vec<&NamedTensor>, Vec<&NamedTensor>) =
        snapshot.tensors.iter().partition(wide);
    let mut end = 0;
    for tensor in ints.iter().chain(&floats) {
        let (name, size) = match &tensor.data {
            TensorData::Float(values) => ("F32", values.len() * 4),
            TensorData::Int(values) => ("I64", values.len() * 8),
        };
        let entry =
            json!({ "dtype": name, "shape": tensor.dims, "data_offsets": [end, end + size] });
        header.insert(tensor.path.to_string(), entry);
        end += size;
    }
    let mut text = Json::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + text.len() + end);
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text);
    for tensor in ints.iter().chain(&floats) {
        match &tensor.data {
            TensorData::Float(values) => {
                values
                    .iter()
                    .for_each(|v| bytes.extend((*v as f32).to_le_bytes()));
            }
            TensorData::Int(values) => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    #[test]
    fn others_can_read_it() {
        let tensor = |path: &str, dims: &[usize], data| NamedTensor {
            path: path.into(),
            dims: dims.to_vec(),
            data,
            slot: false,
        };
        let snapshot = Snapshot {
            epoch: 3,
            step: 12,
            rate: 0.001,
            tensors: vec![
                tensor("w", &[2, 1], TensorData::Float(vec![0.5, -2.0])),
                tensor("seen", &[], TensorData::Int(vec![7])),
                tensor("nothing", &[0], TensorData::Float(Vec::new())),
            ],
        };
        let bytes = encode(&snapshot, "adam");
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("w").unwrap().shape(), [2, 1]);
        assert_eq!(file.tensor("w").unwrap().data()[..4], 0.5f32.to_le_bytes());
        assert_eq!(file.tensor("seen").unwrap().data(), 7i64.to_le_bytes());
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap();
        assert_eq!(metadata["epoch"], "3");
        assert_eq!(metadata["lr"], "0.001");
    }
}
