//! Ops as registered entries: one implementation of one trait each, no central list.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use thiserror::Error;

use crate::attr::{Attr, AttrKind, Attrs};
use crate::builder::{BuildError, GraphBuilder, Values};
use crate::dim::Dim;
use crate::entity::{OpId, Value};
use crate::types::{DType, Shape, TensorType};

/// The types of a node's results.
pub type Types = SmallVec<[TensorType; 2]>;

/// How many times an operand may occur.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// Exactly once.
    One,
    /// Once or not at all; only as the last operands.
    Optional,
    /// Any number of times; only as the last operand.
    Variadic,
}

/// A named operand of an op.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Its name in documentation and messages.
    pub name: &'static str,
    /// How often it occurs.
    pub arity: Arity,
}

impl Operand {
    /// An operand that occurs once.
    pub const fn one(name: &'static str) -> Operand {
        Operand {
            name,
            arity: Arity::One,
        }
    }

    /// An operand that may be left out.
    pub const fn optional(name: &'static str) -> Operand {
        Operand {
            name,
            arity: Arity::Optional,
        }
    }

    /// An operand that may occur any number of times.
    pub const fn variadic(name: &'static str) -> Operand {
        Operand {
            name,
            arity: Arity::Variadic,
        }
    }
}

/// A named attribute of an op.
#[derive(Clone, Copy, Debug)]
pub struct AttrSpec {
    /// Its name.
    pub name: &'static str,
    /// What kind of value it takes.
    pub kind: AttrKind,
    /// Whether it must be there.
    pub required: bool,
    /// What it means, with units and the default where it may be left out.
    pub doc: &'static str,
    /// The value that leaving it out stands for, where that is one value.
    pub default: Option<AttrDefault>,
}

/// The value that leaving an attribute out stands for.
#[derive(Clone, Copy, Debug)]
pub enum AttrDefault {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float of these bits; an integer of the same number is the same value.
    Float(f64),
    /// A text.
    Str(&'static str),
    /// A list of integers of any length, each of them this one.
    Each(i64),
    /// No dims: a scalar.
    NoDims,
    /// The value of another attribute.
    As(&'static str),
}

impl AttrDefault {
    /// Whether a value, one of these attributes, is the one that leaving it out stands for.
    pub fn is(&self, value: &Attr, attrs: &Attrs) -> bool {
        match (self, value) {
            (AttrDefault::Bool(a), Attr::Bool(b)) => a == b,
            (AttrDefault::Int(a), Attr::Int(b)) => a == b,
            (AttrDefault::Float(a), Attr::Float(b)) => a.to_bits() == b.to_bits(),
            (AttrDefault::Float(a), Attr::Int(b)) => a.to_bits() == (*b as f64).to_bits(),
            (AttrDefault::Str(a), Attr::Str(b)) => **a == **b,
            (AttrDefault::Each(a), Attr::Ints(b)) => b.iter().all(|b| a == b),
            (AttrDefault::NoDims, Attr::Dims(b)) => b.is_empty(),
            (AttrDefault::As(other), value) => attrs.get(other) == Some(value),
            _ => false,
        }
    }
}

impl AttrSpec {
    /// An attribute that must be there.
    pub const fn required(name: &'static str, kind: AttrKind, doc: &'static str) -> AttrSpec {
        AttrSpec {
            name,
            kind,
            required: true,
            doc,
            default: None,
        }
    }

    /// An attribute that may be left out.
    pub const fn optional(name: &'static str, kind: AttrKind, doc: &'static str) -> AttrSpec {
        AttrSpec {
            name,
            kind,
            required: false,
            doc,
            default: None,
        }
    }

    /// The same, left out standing for this value.
    #[must_use]
    pub const fn or(self, default: AttrDefault) -> AttrSpec {
        AttrSpec {
            default: Some(default),
            ..self
        }
    }
}

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

fn missing(name: &str) -> TypeError {
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
/// Implementations are registered with [`OpRegistry::register`]; nothing else lists them.
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

/// A mistake in registering ops; the fault is the registering crate's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegisterError {
    /// Two ops of one name.
    #[error("op `{0}` is registered twice")]
    Duplicate(String),
}

/// The ops that a program knows.
#[derive(Clone, Default)]
pub struct OpRegistry {
    ops: Vec<Arc<dyn Op>>,
    by_name: FxHashMap<&'static str, OpId>,
}

impl OpRegistry {
    /// A registry of the sources alone: inputs, states, constants and opaque ops.
    pub fn new() -> Self {
        let mut registry = OpRegistry::default();
        crate::core_ops::register(&mut registry).expect("the core ops have distinct names");
        registry
    }

    /// Adds an op.
    ///
    /// # Errors
    /// Where one of its name is there already.
    pub fn register(&mut self, op: impl Op) -> Result<(), RegisterError> {
        let id = OpId::new(self.ops.len());
        if self.by_name.contains_key(op.name()) {
            return Err(RegisterError::Duplicate(op.name().to_owned()));
        }
        self.by_name.insert(op.name(), id);
        self.ops.push(Arc::new(op));
        Ok(())
    }

    /// The op of this name.
    pub fn find(&self, name: &str) -> Option<OpId> {
        self.by_name.get(name).copied()
    }

    /// The op of this id.
    pub fn op(&self, id: OpId) -> &dyn Op {
        &*self.ops[id.index()]
    }

    /// All ops in order of registration.
    pub fn iter(&self) -> impl Iterator<Item = (OpId, &dyn Op)> {
        self.ops
            .iter()
            .enumerate()
            .map(|(i, op)| (OpId::new(i), &**op))
    }
}

impl fmt::Debug for OpRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.ops.iter().map(|op| op.name()))
            .finish()
    }
}

/// Checks attributes against what the op declares.
///
/// # Errors
/// Where one is missing, of another kind, or unknown to the op.
pub fn check_attrs(op: &dyn Op, attrs: &Attrs) -> Result<(), TypeError> {
    let specs = op.attributes();
    for spec in specs {
        match attrs.get(spec.name) {
            None if spec.required => return Err(missing(spec.name)),
            Some(value) if !spec.kind.admits(value) => {
                let (name, want, got) = (spec.name, spec.kind, value.kind());
                return Err(TypeError::new(format!(
                    "attribute `{name}` is a {got}, not a {want}"
                )));
            }
            _ => {}
        }
    }
    if op.purity() == Purity::Opaque {
        return Ok(());
    }
    for (name, _) in attrs.iter() {
        if !specs.iter().any(|s| s.name == name) {
            let known: Vec<_> = specs.iter().map(|s| s.name).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(TypeError::new(format!(
                "no attribute `{name}` here; there are: {known}"
            )));
        }
    }
    Ok(())
}

/// Checks the number of operands against what the op declares.
///
/// # Errors
/// Where there are too few or too many.
pub fn check_operands(op: &dyn Op, count: usize) -> Result<(), TypeError> {
    let specs = op.operands();
    let least = specs.iter().filter(|o| o.arity == Arity::One).count();
    let variadic = specs.iter().any(|o| o.arity == Arity::Variadic);
    if count < least || (count > specs.len() && !variadic) {
        let names: Vec<_> = specs.iter().map(|o| o.name).collect();
        let names = names.join(", ");
        return Err(TypeError::new(format!(
            "expected operands ({names}), got {count}"
        )));
    }
    Ok(())
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
