//! Values that are known while a model is imported: small constants, and the arithmetic of shapes,
//! whose numbers may be dims that are bound later. Computing with them here turns the chains of ops
//! by which files compute shapes into shapes.

mod arith;
mod num;

use std::cell::Cell;

use syncarp_ir::{DType, Dim, TensorData, TensorType, Value};

pub(crate) use arith::{
    binary_float, cast, compare, concat, elementwise, expand, gather, reduce, reshape, select,
    slice, strides, transpose, unary,
};
pub(crate) use num::Num;

/// The most elements of a value that is known here.
pub(crate) const MOST: u64 = 4096;

/// The elements of a known value, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    /// Integers, truth values as 0 and 1.
    Ints(Vec<Num>),
    Floats(Vec<f64>),
}

/// A known value.
#[derive(Debug)]
pub(crate) struct Known {
    pub dtype: DType,
    pub dims: Vec<u64>,
    pub elements: Elements,
    /// The value in the graph, once an op needed it there.
    pub emitted: Cell<Option<Value>>,
}

impl Known {
    pub fn new(dtype: DType, dims: Vec<u64>, elements: Elements) -> Known {
        let elements = match elements {
            Elements::Floats(items) if dtype == DType::F32 => {
                let rounded = items.into_iter().map(|x| f64::from(x as f32));
                Elements::Floats(rounded.collect())
            }
            Elements::Ints(items) => Elements::Ints(
                items
                    .into_iter()
                    .map(|item| match item {
                        Num::Int(number) => Num::Int(dtype.wrap(number)),
                        dim => dim,
                    })
                    .collect(),
            ),
            elements => elements,
        };
        Known {
            dtype,
            dims,
            elements,
            emitted: Cell::new(None),
        }
    }

    /// A vector of 64-bit integers.
    pub fn vector(items: Vec<Num>) -> Known {
        let dims = vec![items.len() as u64];
        Known::new(DType::I64, dims, Elements::Ints(items))
    }

    /// A scalar integer.
    pub fn scalar(dtype: DType, item: Num) -> Known {
        Known::new(dtype, Vec::new(), Elements::Ints(vec![item]))
    }

    /// Data of this type.
    pub fn of(ty: &TensorType, data: &TensorData) -> Option<Known> {
        let dims: Option<Vec<u64>> = ty.dims()?.iter().map(Dim::known).collect();
        let elements = match data {
            TensorData::Float(items) => Elements::Floats(items.clone()),
            TensorData::Int(items) => Elements::Ints(items.iter().map(|i| Num::Int(*i)).collect()),
        };
        Some(Known::new(ty.dtype?, dims?, elements))
    }

    pub fn count(&self) -> usize {
        match &self.elements {
            Elements::Ints(items) => items.len(),
            Elements::Floats(items) => items.len(),
        }
    }

    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Its integers, where it is of such.
    pub fn nums(&self) -> Option<&[Num]> {
        match &self.elements {
            Elements::Ints(items) => Some(items),
            Elements::Floats(_) => None,
        }
    }

    /// Its integers, where all are numbers.
    pub fn ints(&self) -> Option<Vec<i64>> {
        self.nums()?.iter().map(Num::int).collect()
    }

    /// Its elements as floats, where all are numbers.
    pub fn floats(&self) -> Option<Vec<f64>> {
        match &self.elements {
            Elements::Ints(items) => items.iter().map(|i| Some(i.int()? as f64)).collect(),
            Elements::Floats(items) => Some(items.clone()),
        }
    }

    /// The same elements with others chosen: element i is element `places[i]`.
    pub fn pick(&self, dims: Vec<u64>, places: &[usize]) -> Known {
        let elements = match &self.elements {
            Elements::Ints(items) => {
                Elements::Ints(places.iter().map(|p| items[*p].clone()).collect())
            }
            Elements::Floats(items) => Elements::Floats(places.iter().map(|p| items[*p]).collect()),
        };
        Known::new(self.dtype, dims, elements)
    }
}

/// How many elements there are, where that is no more than what is known here.
pub(crate) fn few(dims: &[u64]) -> Option<usize> {
    let count = dims.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim))?;
    (count <= MOST).then_some(count as usize)
}
