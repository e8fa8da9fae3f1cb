//! Element types of binary array files and how they become columns.

use crate::arrays::Numbers;
use crate::dataset::Array;

/// The element types that array files may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

impl Element {
    /// The bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Element::Bool | Element::I8 | Element::U8 => 1,
            Element::I16 | Element::U16 => 2,
            Element::I32 | Element::U32 | Element::F32 => 4,
            Element::I64 | Element::U64 | Element::F64 => 8,
        }
    }
}

/// A value that does not fit its column: the element's index and what it is.
#[derive(Debug)]
pub(crate) struct BadElement {
    pub index: usize,
    pub message: String,
    pub expected: &'static str,
}

/// Decodes elements in the order in which they lie.
///
/// Floats, booleans and integers of 8 or 16 bits become `f32`, which holds the latter exactly.
/// Integers of 32 or 64 bits become `i64`: they are mostly ids, and `f32` would round them.
/// Bytes beyond the last whole element are ignored; callers check lengths before.
pub(crate) fn decode(bytes: &[u8], element: Element, big: bool) -> Result<Array, BadElement> {
    macro_rules! each {
        ($type:ty, $convert:expr) => {
            each::<{ size_of::<$type>() }, _>(bytes, |raw| {
                let value = if big {
                    <$type>::from_be_bytes(raw)
                } else {
                    <$type>::from_le_bytes(raw)
                };
                let convert: fn($type) -> _ = $convert;
                convert(value)
            })
        };
    }
    Ok(match element {
        Element::Bool => {
            if let Some(index) = bytes.iter().position(|&byte| byte > 1) {
                return Err(BadElement {
                    index,
                    message: format!("the byte {} is not a boolean", bytes[index]),
                    expected: "0 or 1",
                });
            }
            Array::F32(bytes.iter().map(|&byte| f32::from(byte)).collect())
        }
        Element::U8 => Array::F32(bytes.iter().map(|&byte| f32::from(byte)).collect()),
        Element::I8 => Array::F32(each!(i8, f32::from)),
        Element::I16 => Array::F32(each!(i16, f32::from)),
        Element::U16 => Array::F32(each!(u16, f32::from)),
        Element::F32 => Array::F32(each!(f32, |value| value)),
        Element::F64 => Array::F32(each!(f64, |value| value as f32)),
        Element::I32 => Array::I64(each!(i32, i64::from)),
        Element::U32 => Array::I64(each!(u32, i64::from)),
        Element::I64 => Array::I64(each!(i64, |value| value)),
        Element::U64 => {
            // The sign bit of the reinterpreted value tells what does not fit, without a second
            // buffer of unsigned values.
            let values: Vec<i64> = each!(u64, |value| value as i64);
            if let Some(index) = values.iter().position(|&value| value < 0) {
                return Err(BadElement {
                    index,
                    message: format!("{} does not fit 64 signed bits", values[index] as u64),
                    expected: "an integer up to 9223372036854775807",
                });
            }
            Array::I64(values)
        }
    })
}

fn each<const N: usize, T>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|raw| decode(*raw))
        .collect()
}

/// Decodes elements without loss: floats as `f64`, integers and booleans as `i64`. Bytes beyond
/// the last whole element are ignored, as in [`decode`].
pub(crate) fn decode_exact(
    bytes: &[u8],
    element: Element,
    big: bool,
) -> Result<Numbers, BadElement> {
    macro_rules! floats {
        ($type:ty) => {
            Numbers::Float(each(bytes, |raw| {
                f64::from(if big {
                    <$type>::from_be_bytes(raw)
                } else {
                    <$type>::from_le_bytes(raw)
                })
            }))
        };
    }
    Ok(match element {
        Element::F32 => floats!(f32),
        Element::F64 => floats!(f64),
        _ => Numbers::Int(match decode(bytes, element, big)? {
            // These are booleans and integers of at most 16 bits, which `f32` holds exactly.
            Array::F32(values) => values.into_iter().map(|value| value as i64).collect(),
            Array::I64(values) => values,
        }),
    })
}

/// The largest class label that is taken: more classes than this is a mistake in the data.
pub(crate) const MAX_LABEL: i64 = i32::MAX as i64;

/// Class labels as `i64`: integers as they are, floats where they are whole.
pub(crate) fn to_labels(array: Array) -> Result<Vec<i64>, BadElement> {
    let expected = "an integer from 0 to 2147483647";
    let values = match array {
        Array::I64(values) => values,
        Array::F32(values) => {
            if let Some(index) = values
                .iter()
                .position(|v| !(v.is_finite() && v.fract() == 0.0))
            {
                let message = format!("{} is no class label", values[index]);
                return Err(BadElement {
                    index,
                    message,
                    expected,
                });
            }
            values.into_iter().map(|value| value as i64).collect()
        }
    };
    match values
        .iter()
        .position(|label| !(0..=MAX_LABEL).contains(label))
    {
        Some(index) => {
            let message = format!("{} is no class label", values[index]);
            Err(BadElement {
                index,
                message,
                expected,
            })
        }
        None => Ok(values),
    }
}

/// Regression targets as `f32`.
pub(crate) fn to_values(array: Array) -> Vec<f32> {
    match array {
        Array::F32(values) => values,
        Array::I64(values) => values.into_iter().map(|value| value as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_decodes_in_both_byte_orders() {
        let both = |little: &[u8], element| {
            let big: Vec<u8> = little
                .chunks(element_size(element))
                .flat_map(|c| c.iter().rev().copied())
                .collect();
            let a = decode(little, element, false).unwrap();
            assert_eq!(a, decode(&big, element, true).unwrap());
            a
        };
        fn element_size(element: Element) -> usize {
            element.size()
        }
        assert_eq!(both(&[0, 1], Element::Bool), Array::F32(vec![0.0, 1.0]));
        assert_eq!(both(&[0, 255], Element::U8), Array::F32(vec![0.0, 255.0]));
        assert_eq!(both(&[0, 255], Element::I8), Array::F32(vec![0.0, -1.0]));
        assert_eq!(both(&[2, 1], Element::I16), Array::F32(vec![258.0]));
        assert_eq!(both(&[255, 255], Element::U16), Array::F32(vec![65535.0]));
        assert_eq!(
            both(&(-7i32).to_le_bytes(), Element::I32),
            Array::I64(vec![-7])
        );
        assert_eq!(
            both(&u32::MAX.to_le_bytes(), Element::U32),
            Array::I64(vec![4294967295])
        );
        assert_eq!(
            both(&i64::MIN.to_le_bytes(), Element::I64),
            Array::I64(vec![i64::MIN])
        );
        assert_eq!(both(&9u64.to_le_bytes(), Element::U64), Array::I64(vec![9]));
        assert_eq!(
            both(&1.5f32.to_le_bytes(), Element::F32),
            Array::F32(vec![1.5])
        );
        assert_eq!(
            both(&0.1f64.to_le_bytes(), Element::F64),
            Array::F32(vec![0.1])
        );
    }

    #[test]
    fn values_that_do_not_fit_are_named() {
        let error = decode(&[0, 1, 2], Element::Bool, false).unwrap_err();
        assert_eq!(error.index, 2);
        let bytes = [1u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
        assert_eq!(decode(&bytes, Element::U64, false).unwrap_err().index, 1);
    }

    #[test]
    fn labels_are_whole_and_not_negative() {
        assert_eq!(to_labels(Array::F32(vec![3.0, 0.0])).unwrap(), [3, 0]);
        assert_eq!(to_labels(Array::F32(vec![3.0, 0.5])).unwrap_err().index, 1);
        assert_eq!(to_labels(Array::F32(vec![f32::NAN])).unwrap_err().index, 0);
        assert_eq!(to_labels(Array::I64(vec![1, 2, -1])).unwrap_err().index, 2);
        assert_eq!(
            to_labels(Array::I64(vec![MAX_LABEL + 1]))
                .unwrap_err()
                .index,
            0
        );
    }
}
