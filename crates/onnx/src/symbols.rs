//! The types of inputs: dims with a name become symbols.

use std::collections::{BTreeMap, BTreeSet};

use syncarp_ir::{Dim, TensorType};

use crate::proto::ValueInfoProto;
use crate::tensor::element_type;

/// The symbols of a file by the names that it has for them.
#[derive(Default)]
pub(crate) struct Symbols {
    by_name: BTreeMap<String, Dim>,
    taken: BTreeSet<String>,
    /// Whether the batch has its symbol: the first dim of the first input that is no number.
    batch: bool,
}

impl Symbols {
    fn named(&mut self, name: &str, first: bool) -> Dim {
        if let Some(dim) = self.by_name.get(name) {
            return dim.clone();
        }
        let dim = self.fresh(name, first);
        self.by_name.insert(name.to_owned(), dim.clone());
        dim
    }

    fn fresh(&mut self, name: &str, first: bool) -> Dim {
        let spelled = match first && !self.batch {
            true => "n".to_owned(),
            false => spell(name),
        };
        self.batch |= first;
        let mut spelled = spelled;
        while !self.taken.insert(spelled.clone()) {
            spelled.push('_');
        }
        Dim::symbol(spelled)
    }
}

/// A name as the text form has it.
fn spell(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let mut spelled: String = name.chars().take(64).map(plain).collect();
    if !spelled.starts_with(|c: char| c.is_ascii_alphabetic()) {
        spelled.insert(0, 's');
    }
    // The batch is called so.
    if spelled == "n" {
        "n_".to_owned()
    } else {
        spelled
    }
}

/// The type that a file says an input has.
///
/// # Errors
/// It is none of a tensor, or of elements that there are none of here.
pub(crate) fn type_of(input: &ValueInfoProto, symbols: &mut Symbols) -> Result<TensorType, String> {
    let Some(ty) = &input.r#type else {
        return Ok(TensorType::unknown());
    };
    let tensor = ty.tensor_type.as_ref().ok_or(
        "inputs that are sequences, maps or optionals are not supported; give their tensors one by \
         one",
    )?;
    let dtype = match tensor.elem_type {
        0 => None,
        code => Some(element_type(code)?),
    };
    let Some(shape) = &tensor.shape else {
        return Ok(TensorType { dtype, shape: None });
    };
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (axis, dim) in shape.dim.iter().enumerate() {
        let first = axis == 0;
        dims.push(match (dim.dim_value, dim.dim_param.as_deref()) {
            (Some(value), _) if value >= 0 => Dim::Known(value as u64),
            // Some exporters write the unknown size as -1.
            (Some(_), _) | (None, None | Some("")) => {
                symbols.fresh(&format!("{}_{axis}", spell(&input.name)), first)
            }
            (None, Some(name)) => symbols.named(name, first),
        });
    }
    Ok(TensorType {
        dtype,
        shape: Some(dims.into_iter().collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{DimensionProto, TensorShapeProto, TensorTypeProto, TypeProto};

    fn input(name: &str, dims: &[&str]) -> ValueInfoProto {
        let dim = |text: &&str| DimensionProto {
            dim_value: text.parse().ok(),
            dim_param: (!text.is_empty() && text.parse::<i64>().is_err())
                .then(|| (*text).to_owned()),
        };
        let shape = TensorShapeProto {
            dim: dims.iter().map(dim).collect(),
        };
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: 1,
                    shape: Some(shape),
                }),
            }),
        }
    }

    #[test]
    fn the_first_dim_is_the_batch_and_names_are_kept() {
        let mut symbols = Symbols::default();
        let mut ty = |input: ValueInfoProto| type_of(&input, &mut symbols).unwrap().to_string();
        assert_eq!(ty(input("x", &["batch", "3", "a b"])), "f32[n, 3, a_b]");
        assert_eq!(ty(input("y", &["batch", "a b", ""])), "f32[n, a_b, y_2]");
        assert_eq!(ty(input("z", &["n", "-1"])), "f32[n_, z_1]");
    }
}
