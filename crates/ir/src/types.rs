//! Tensor types: a dtype and a shape, either of which may stay unknown until inputs are bound.

use std::fmt;

use smallvec::SmallVec;

use crate::dim::{Bindings, Dim};

/// What a tensor's elements are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum DType {
    /// 16-bit IEEE float.
    F16,
    /// 16-bit float with eight exponent bits.
    BF16,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// Unsigned 16-bit integer.
    U16,
    /// 16-bit integer.
    I16,
    /// Unsigned 32-bit integer.
    U32,
    /// 32-bit integer.
    I32,
    /// Unsigned 64-bit integer. Wherever elements are held as `i64`, those of this dtype are the
    /// same 64 bits.
    U64,
    /// 64-bit integer.
    I64,
    /// Truth value.
    Bool,
}

impl DType {
    /// Every dtype, in the order of their definition.
    pub const ALL: [DType; 13] = [
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
        DType::U8,
        DType::I8,
        DType::U16,
        DType::I16,
        DType::U32,
        DType::I32,
        DType::U64,
        DType::I64,
        DType::Bool,
    ];

    /// Its name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::U8 => "u8",
            DType::I8 => "i8",
            DType::U16 => "u16",
            DType::I16 => "i16",
            DType::U32 => "u32",
            DType::I32 => "i32",
            DType::U64 => "u64",
            DType::I64 => "i64",
            DType::Bool => "bool",
        }
    }

    /// The dtype of this name.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Whether gradients can flow through it.
    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// Bytes an element takes.
    pub fn size(self) -> usize {
        match self {
            DType::U8 | DType::I8 | DType::Bool => 1,
            DType::F16 | DType::BF16 | DType::U16 | DType::I16 => 2,
            DType::F32 | DType::U32 | DType::I32 => 4,
            DType::F64 | DType::U64 | DType::I64 => 8,
        }
    }

    /// Whether it holds integers; truth values are none.
    pub fn is_integer(self) -> bool {
        !self.is_float() && self != DType::Bool
    }

    /// Whether it holds integers that are never negative.
    pub fn is_unsigned(self) -> bool {
        matches!(self, DType::U8 | DType::U16 | DType::U32 | DType::U64)
    }

    /// An integer as one of this dtype: what lies outside wraps. Of u64 it is the same 64 bits.
    pub fn wrap(self, value: i64) -> i64 {
        match self {
            DType::U8 => i64::from(value as u8),
            DType::I8 => i64::from(value as i8),
            DType::U16 => i64::from(value as u16),
            DType::I16 => i64::from(value as i16),
            DType::U32 => i64::from(value as u32),
            DType::I32 => i64::from(value as i32),
            _ => value,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A list of dims; most tensors have at most four.
pub type Shape = SmallVec<[Dim; 4]>;

/// The type of a value.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TensorType {
    /// The element type, where known.
    pub dtype: Option<DType>,
    /// The dims, where the rank is known.
    pub shape: Option<Shape>,
}

impl TensorType {
    /// A known type.
    pub fn new(dtype: DType, shape: impl IntoIterator<Item = Dim>) -> Self {
        TensorType {
            dtype: Some(dtype),
            shape: Some(shape.into_iter().collect()),
        }
    }

    /// A known type with dims that are numbers.
    pub fn fixed(dtype: DType, shape: &[u64]) -> Self {
        TensorType::new(dtype, shape.iter().map(|d| Dim::Known(*d)))
    }

    /// A scalar.
    pub fn scalar(dtype: DType) -> Self {
        TensorType::new(dtype, [])
    }

    /// The type of which nothing is known.
    pub fn unknown() -> Self {
        TensorType::default()
    }

    /// The dims, where the rank is known.
    pub fn dims(&self) -> Option<&[Dim]> {
        self.shape.as_deref()
    }

    /// The number of dims, where known.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(|s| s.len())
    }

    /// Whether dtype and every dim are known, symbols counting as known.
    pub fn is_complete(&self) -> bool {
        self.dtype.is_some() && self.shape.is_some()
    }

    /// The type with symbols replaced by numbers; none where a dim comes out negative.
    pub fn bind(&self, bindings: &Bindings) -> Option<TensorType> {
        let shape = match &self.shape {
            Some(dims) => Some(
                dims.iter()
                    .map(|d| d.bind(bindings))
                    .collect::<Option<Shape>>()?,
            ),
            None => None,
        };
        Some(TensorType {
            dtype: self.dtype,
            shape,
        })
    }

    /// The dims as numbers, where all are.
    pub fn numbers(&self) -> Option<SmallVec<[usize; 4]>> {
        let dims = self.shape.as_ref()?.iter();
        dims.map(|d| d.known().and_then(|v| usize::try_from(v).ok()))
            .collect()
    }

    /// The number of elements, where all dims are numbers.
    pub fn elements(&self) -> Option<u64> {
        self.shape
            .as_ref()?
            .iter()
            .try_fold(1u64, |n, d| n.checked_mul(d.known()?))
    }

    /// The bytes of all elements, where the type is bound.
    pub fn bytes(&self) -> Option<u64> {
        self.elements()?.checked_mul(self.dtype?.size() as u64)
    }

    /// What both say together; none where they contradict each other.
    pub fn meet(&self, other: &TensorType) -> Option<TensorType> {
        let dtype = match (self.dtype, other.dtype) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        let shape = match (&self.shape, &other.shape) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        Some(TensorType { dtype, shape })
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype {
            Some(dtype) => write!(f, "{dtype}")?,
            None => write!(f, "?")?,
        }
        match &self.shape {
            None => write!(f, "[*]"),
            Some(dims) => {
                write!(f, "[")?;
                for (i, dim) in dims.iter().enumerate() {
                    if i > 0 {
                        write!(f, ", ")?;
                    }
                    write!(f, "{dim}")?;
                }
                write!(f, "]")
            }
        }
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtypes_have_names_and_kinds() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
            let kinds = [dtype.is_float(), dtype.is_integer(), dtype == DType::Bool];
            assert_eq!(kinds.iter().filter(|k| **k).count(), 1, "{dtype}");
            let bits = dtype
                .name()
                .trim_start_matches(|c: char| !c.is_ascii_digit());
            if let Ok(bits) = bits.parse::<usize>() {
                assert_eq!(dtype.size() * 8, bits, "{dtype}");
            }
            assert_eq!(
                dtype.is_unsigned(),
                dtype.name().starts_with('u'),
                "{dtype}"
            );
        }
    }

    #[test]
    fn what_lies_outside_wraps() {
        for (dtype, value, want) in [
            (DType::U8, 257, 1),
            (DType::I8, 128, -128),
            (DType::U16, -1, 65_535),
            (DType::I16, 32_768, -32_768),
            (DType::U32, -1, 4_294_967_295),
            (DType::I32, 1 << 31, -(1 << 31)),
            (DType::U64, -1, -1),
            (DType::I64, i64::MIN, i64::MIN),
        ] {
            assert_eq!(dtype.wrap(value), want, "{dtype}");
            assert_eq!(dtype.wrap(want), want, "{dtype}");
        }
    }
}
