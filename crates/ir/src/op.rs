//! What an op is: the one trait that it implements, and what its methods work with.

use std::fmt;

use smallvec::SmallVec;
use thiserror::Error;

use crate::attr::{Attr, Attrs};
use crate::builder::{BuildError, GraphBuilder, Values};
use crate::dim::Dim;
use crate::entity::Value;
use crate::sources::Sources;
use crate::spec::{AttrSpec, Operand};
use crate::types::{DType, Shape, TensorType};

/// The types of a node's results.
pub type Types = SmallVec<[TensorType; 2]>;

/// How far results may move when a node is merged, rewritten or run elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Exactness {
    /// The same bits.
    Bitwise,
    /// The same within a stated tolerance.
    Tolerance,
    /// The same within a tolerance, and for evaluation only.
    EvalOnly,
}

impl fmt::Display for Exactness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exactness::Bitwise => "bitwise",
            Exactness::Tolerance => "tolerance",
            Exactness::EvalOnly => "eval-only",
        })
    }
}

/// What makes two applications of an op with equal attributes and operands equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purity {
    /// They always are.
    Pure,
    /// They are; the op names what comes from outside (inputs, states, constants).
    Source,
    /// Nothing is known: never shared, never batched, never dropped.
    Opaque,
}

/// Work that a node does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// Why a node's types do not work out. The fault is the graph's author's.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{message}")]
pub struct TypeError {
    /// What is wrong and what was expected.
    pub message: String,
}

impl TypeError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        TypeError {
            message: message.into(),
        }
    }
}

/// What type inference and cost look at.
#[derive(Clone, Copy)]
pub struct Infer<'a> {
    /// The operands' types.
    pub operands: &'a [&'a TensorType],
    /// The node's attributes.
    pub attrs: &'a Attrs,
}

impl<'a> Infer<'a> {
    /// The type of an operand.
    ///
    /// # Errors
    /// Where there is no such operand.
    pub fn operand(&self, index: usize) -> Result<&'a TensorType, TypeError> {
        let missing = || TypeError::new(format!("operand {index} is missing"));
        self.operands.get(index).copied().ok_or_else(missing)
    }

    /// The dims of an operand; none where its rank is unknown.
    ///
    /// # Errors
    /// Where there is no such operand.
    pub fn dims(&self, index: usize) -> Result<Option<&'a [Dim]>, TypeError> {
        Ok(self.operand(index)?.dims())
    }

    /// Demands that an operand, where its dtype is known, is a float.
    ///
    /// # Errors
    /// Where it is not.
    pub fn float(&self, index: usize) -> Result<Option<DType>, TypeError> {
        match self.operand(index)?.dtype {
            Some(dtype) if !dtype.is_float() => Err(TypeError::new(format!(
                "operand {index} must be a float, not {dtype}"
            ))),
            dtype => Ok(dtype),
        }
    }

    /// The dtype that all of some operands have.
    ///
    /// # Errors
    /// Where two differ.
    pub fn same_dtype(&self, range: std::ops::Range<usize>) -> Result<Option<DType>, TypeError> {
        let mut seen: Option<DType> = None;
        for index in range {
            match (seen, self.operand(index)?.dtype) {
                (Some(a), Some(b)) if a != b => {
                    return Err(TypeError::new(format!(
                        "operand {index} is {b}, another is {a}"
                    )));
                }
                (a, b) => seen = a.or(b),
            }
        }
        Ok(seen)
    }

    /// Demands a rank, where it is known.
    ///
    /// # Errors
    /// Where the operand has another.
    pub fn rank(&self, index: usize, rank: usize) -> Result<Option<&'a [Dim]>, TypeError> {
        match self.dims(index)? {
            Some(dims) if dims.len() != rank => Err(TypeError::new(format!(
                "operand {index} must have {rank} dims, not {}",
                self.operand(index)?
            ))),
            dims => Ok(dims),
        }
    }

    /// A required integer attribute.
    ///
    /// # Errors
    /// Where it is missing.
    pub fn int(&self, name: &str) -> Result<i64, TypeError> {
        self.attrs.int(name).ok_or_else(|| missing(name))
    }

    /// A required list of integers.
    ///
    /// # Errors
    /// Where it is missing.
    pub fn ints(&self, name: &str) -> Result<&'a [i64], TypeError> {
        self.attrs.ints(name).ok_or_else(|| missing(name))
    }

    /// An axis attribute, counted from the end where negative.
    ///
    /// # Errors
    /// Where it is missing or outside the rank.
    pub fn axis(&self, name: &str, rank: usize) -> Result<usize, TypeError> {
        normalize_axis(self.int(name)?, rank)
    }
}

pub(crate) fn missing(name: &str) -> TypeError {
    TypeError::new(format!("attribute `{name}` is missing"))
}

/// An axis counted from the front.
///
/// # Errors
/// Where it lies outside the rank.
pub fn normalize_axis(axis: i64, rank: usize) -> Result<usize, TypeError> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| TypeError::new(format!("axis {axis} is outside a rank of {rank}")))
}

/// The shape that two shapes broadcast to (NumPy's rule). A symbol meets only itself or 1.
///
/// # Errors
/// Where two dims are neither equal nor 1.
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Shape, TypeError> {
    let rank = a.len().max(b.len());
    let one = Dim::Known(1);
    let at = |s: &[Dim], i: usize| {
        let pad = rank - s.len();
        if i < pad {
            one.clone()
        } else {
            s[i - pad].clone()
        }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == one => Ok(x),
            (x, y) if x == one => Ok(y),
            (x, y) => Err(TypeError::new(format!("dims {x} and {y} do not broadcast"))),
        })
        .collect()
}

/// Why a gradient could not be built.
#[derive(Debug, Error)]
pub enum GradientError {
    /// The op has no gradient rule; the model's author must take another op.
    #[error("op `{op}` has no gradient rule")]
    NoRule {
        /// The op's name.
        op: String,
    },
    /// A rule emitted a node that does not type: the fault of the op's author.
    #[error("the gradient rule built a wrong node: {0}")]
    Build(#[from] BuildError),
}

/// What a gradient rule works with: the forward node in the graph that is being built, and the
/// gradients that arrived at its results.
pub struct Gradient<'a> {
    /// Where backward nodes are emitted.
    pub b: &'a mut GraphBuilder,
    /// The forward node's attributes.
    pub attrs: &'a Attrs,
    /// The forward node's operands.
    pub operands: &'a [Value],
    /// The forward node's results.
    pub results: &'a [Value],
    /// For each result, the gradient that arrived, if any did.
    pub arrived: &'a [Option<Value>],
    /// For each operand, whether its gradient is wanted.
    pub wanted: &'a [bool],
    /// For each operand, the gradient that the rule gives it.
    pub given: &'a mut [Option<Value>],
}

impl Gradient<'_> {
    /// Whether an operand's gradient is wanted; false where there is no such operand.
    pub fn wants(&self, operand: usize) -> bool {
        self.wanted.get(operand).copied().unwrap_or(false)
    }

    /// Gives an operand its gradient.
    pub fn give(&mut self, operand: usize, gradient: Value) {
        self.given[operand] = Some(gradient);
    }
}

/// What a decomposition or an eval form works with.
pub struct Expand<'a> {
    /// Where the replacement is emitted.
    pub b: &'a mut GraphBuilder,
    /// The node's attributes.
    pub attrs: &'a Attrs,
    /// Its operands in the graph that is being built.
    pub operands: &'a [Value],
    /// Its results' types.
    pub types: &'a [TensorType],
}

/// One op: everything the compiler needs to know about it.
///
/// Implementations are registered with [`crate::OpRegistry::register`]; nothing else lists them.
pub trait Op: Send + Sync + 'static {
    /// Its name in the text form; unique in a registry.
    fn name(&self) -> &'static str;

    /// What it computes: a first sentence, then shapes, units and the source (ONNX or ATen op).
    fn doc(&self) -> &'static str;

    /// Its operands in order.
    fn operands(&self) -> &'static [Operand];

    /// The names of its results.
    fn results(&self) -> &'static [&'static str] {
        &["result"]
    }

    /// Its attributes.
    fn attributes(&self) -> &'static [AttrSpec] {
        &[]
    }

    /// The types of its results.
    ///
    /// # Errors
    /// Where operands or attributes contradict each other.
    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError>;

    /// The floating-point operations of one application with bound types, by default one for each
    /// element of the results; none where a shape is unbound.
    fn flops(&self, _cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        results
            .iter()
            .try_fold(0u64, |sum, t| sum.checked_add(t.elements()?))
    }

    /// The bytes that one application with bound types reads and writes, by default all operands
    /// and results; none where a type is unbound. An op that reads less of an operand says so.
    fn bytes(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        let all = cx.operands.iter().copied().chain(results);
        all.map(TensorType::bytes)
            .try_fold(0u64, |sum, bytes| sum.checked_add(bytes?))
    }

    /// Its names in ONNX and ATen, by default those that its documentation gives.
    fn sources(&self) -> Sources {
        Sources::in_doc(self.doc())
    }

    /// One application that types, with every dim a number: the operands' types and the attributes
    /// as the text form writes them, such as `f32[2, 3], i64[2] {axis=1}`. Documentation shows it
    /// and what comes of it ([`crate::Sheet`]); none where an op says nothing without its plan.
    fn example(&self) -> Option<&'static str> {
        None
    }

    /// How exact it is under merging on one engine.
    fn exactness(&self) -> Exactness {
        Exactness::Bitwise
    }

    /// What makes two applications equal.
    fn purity(&self) -> Purity {
        Purity::Pure
    }

    /// Whether gradients stop here because the result is piecewise constant in every operand.
    fn is_constant(&self) -> bool {
        false
    }

    /// Emits the gradient in IR ops.
    ///
    /// # Errors
    /// [`GradientError::NoRule`] unless the op has one.
    fn gradient(&self, _cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        Err(GradientError::NoRule {
            op: self.name().to_owned(),
        })
    }

    /// Emits the same computation in simpler ops, where there are such; used only where an engine
    /// has no kernel for this one.
    fn decompose(&self, _cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        None
    }

    /// Emits what the op is in evaluation, where that is something else than in training.
    fn to_eval(&self, _cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        None
    }
}

/// A number attribute as f64 values: one for a scalar, all for a list.
pub fn numbers(value: &Attr) -> Option<Vec<f64>> {
    match value {
        Attr::Bool(v) => Some(vec![f64::from(u8::from(*v))]),
        Attr::Int(v) => Some(vec![*v as f64]),
        Attr::Float(v) => Some(vec![*v]),
        Attr::Ints(v) => Some(v.iter().map(|x| *x as f64).collect()),
        Attr::Floats(v) => Some(v.to_vec()),
        _ => None,
    }
}
