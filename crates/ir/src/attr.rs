//! Attributes: the compile-time arguments of an op.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::dim::Dim;
use crate::entity::{Model, State};
use crate::stream::StreamKey;
use crate::types::DType;

/// One attribute's value.
#[derive(Clone, Debug)]
pub enum Attr {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float; equal only to the float of the same bits.
    Float(f64),
    /// A text.
    Str(Arc<str>),
    /// An element type.
    DType(DType),
    /// A list of integers.
    Ints(Arc<[i64]>),
    /// A list of floats.
    Floats(Arc<[f64]>),
    /// A list of texts.
    Strs(Arc<[Arc<str>]>),
    /// A list of dims.
    Dims(Arc<[Dim]>),
    /// A random stream.
    Stream(StreamKey),
    /// A state.
    State(State),
    /// A model.
    Model(Model),
}

/// What kind of value an attribute takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttrKind {
    /// [`Attr::Bool`]
    Bool,
    /// [`Attr::Int`]
    Int,
    /// [`Attr::Float`]
    Float,
    /// [`Attr::Str`]
    Str,
    /// [`Attr::DType`]
    DType,
    /// [`Attr::Ints`]
    Ints,
    /// [`Attr::Floats`]
    Floats,
    /// [`Attr::Strs`]
    Strs,
    /// [`Attr::Dims`]
    Dims,
    /// [`Attr::Stream`]
    Stream,
    /// [`Attr::State`]
    State,
    /// [`Attr::Model`]
    Model,
    /// A number or a list of numbers: what a constant holds.
    Number,
}

impl fmt::Display for AttrKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AttrKind::Bool => "bool",
            AttrKind::Int => "int",
            AttrKind::Float => "float",
            AttrKind::Str => "string",
            AttrKind::DType => "dtype",
            AttrKind::Ints => "list of ints",
            AttrKind::Floats => "list of floats",
            AttrKind::Strs => "list of strings",
            AttrKind::Dims => "dims",
            AttrKind::Stream => "stream",
            AttrKind::State => "state",
            AttrKind::Model => "model",
            AttrKind::Number => "number, bool or list of numbers",
        })
    }
}

impl AttrKind {
    /// Whether a value is of this kind.
    pub fn admits(self, value: &Attr) -> bool {
        if self == AttrKind::Number {
            return matches!(
                value,
                Attr::Bool(_) | Attr::Int(_) | Attr::Float(_) | Attr::Ints(_) | Attr::Floats(_)
            );
        }
        self == value.kind()
    }
}

impl Attr {
    /// Its kind.
    pub fn kind(&self) -> AttrKind {
        match self {
            Attr::Bool(_) => AttrKind::Bool,
            Attr::Int(_) => AttrKind::Int,
            Attr::Float(_) => AttrKind::Float,
            Attr::Str(_) => AttrKind::Str,
            Attr::DType(_) => AttrKind::DType,
            Attr::Ints(_) => AttrKind::Ints,
            Attr::Floats(_) => AttrKind::Floats,
            Attr::Strs(_) => AttrKind::Strs,
            Attr::Dims(_) => AttrKind::Dims,
            Attr::Stream(_) => AttrKind::Stream,
            Attr::State(_) => AttrKind::State,
            Attr::Model(_) => AttrKind::Model,
        }
    }
}

impl PartialEq for Attr {
    fn eq(&self, other: &Attr) -> bool {
        match (self, other) {
            (Attr::Bool(a), Attr::Bool(b)) => a == b,
            (Attr::Int(a), Attr::Int(b)) => a == b,
            (Attr::Float(a), Attr::Float(b)) => a.to_bits() == b.to_bits(),
            (Attr::Str(a), Attr::Str(b)) => a == b,
            (Attr::DType(a), Attr::DType(b)) => a == b,
            (Attr::Ints(a), Attr::Ints(b)) => a == b,
            (Attr::Floats(a), Attr::Floats(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|(x, y)| x.to_bits() == y.to_bits())
            }
            (Attr::Strs(a), Attr::Strs(b)) => a == b,
            (Attr::Dims(a), Attr::Dims(b)) => a == b,
            (Attr::Stream(a), Attr::Stream(b)) => a == b,
            (Attr::State(a), Attr::State(b)) => a == b,
            (Attr::Model(a), Attr::Model(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Attr {}

impl Hash for Attr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Attr::Bool(a) => a.hash(state),
            Attr::Int(a) => a.hash(state),
            Attr::Float(a) => a.to_bits().hash(state),
            Attr::Str(a) => a.hash(state),
            Attr::DType(a) => a.hash(state),
            Attr::Ints(a) => a.hash(state),
            Attr::Floats(a) => a.iter().for_each(|x| x.to_bits().hash(state)),
            Attr::Strs(a) => a.hash(state),
            Attr::Dims(a) => a.hash(state),
            Attr::Stream(a) => a.hash(state),
            Attr::State(a) => a.hash(state),
            Attr::Model(a) => a.hash(state),
        }
    }
}

macro_rules! attr_from {
    ($($from:ty => $make:expr;)*) => {
        $(impl From<$from> for Attr {
            fn from(value: $from) -> Attr {
                let make: fn($from) -> Attr = $make;
                make(value)
            }
        })*
    };
}

attr_from! {
    bool => Attr::Bool;
    i64 => Attr::Int;
    f64 => Attr::Float;
    &str => |v| Attr::Str(v.into());
    Arc<str> => Attr::Str;
    DType => Attr::DType;
    Vec<i64> => |v| Attr::Ints(v.into());
    &[i64] => |v| Attr::Ints(v.into());
    Vec<f64> => |v| Attr::Floats(v.into());
    &[Dim] => |v| Attr::Dims(v.into());
    Vec<Dim> => |v| Attr::Dims(v.into());
    StreamKey => Attr::Stream;
    State => Attr::State;
    Model => Attr::Model;
}

/// A node's attributes, sorted by name.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Attrs {
    entries: SmallVec<[(Arc<str>, Attr); 2]>,
}

impl Attrs {
    /// No attributes.
    pub fn new() -> Self {
        Attrs::default()
    }

    /// Adds or replaces one.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: impl Into<Attr>) {
        let name = name.into();
        match self.entries.binary_search_by(|(n, _)| n.cmp(&name)) {
            Ok(at) => self.entries[at].1 = value.into(),
            Err(at) => self.entries.insert(at, (name, value.into())),
        }
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<Arc<str>>, value: impl Into<Attr>) -> Self {
        self.set(name, value);
        self
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        let at = self
            .entries
            .binary_search_by(|(n, _)| (**n).cmp(name))
            .ok()?;
        Some(&self.entries[at].1)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Attr)> {
        self.entries.iter().map(|(n, v)| (&**n, v))
    }

    /// The same without those for which this does not hold.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str, &Attr) -> bool) -> Self {
        let kept = self.entries.iter().filter(|(n, v)| keep(n, v));
        Attrs {
            entries: kept.cloned().collect(),
        }
    }

    /// The same with every value replaced.
    #[must_use]
    pub fn map(&self, mut f: impl FnMut(&Attr) -> Attr) -> Self {
        Attrs {
            entries: self
                .entries
                .iter()
                .map(|(n, v)| (n.clone(), f(v)))
                .collect(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Attr::Int(v) => Some(*v),
            _ => None,
        }
    }

    /// A float attribute; an integer counts as one.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Attr::Float(v) => Some(*v),
            Attr::Int(v) => Some(*v as f64),
            _ => None,
        }
    }

    /// A boolean attribute.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Attr::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// A text attribute.
    pub fn str(&self, name: &str) -> Option<&Arc<str>> {
        match self.get(name)? {
            Attr::Str(v) => Some(v),
            _ => None,
        }
    }

    /// A dtype attribute.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        match self.get(name)? {
            Attr::DType(v) => Some(*v),
            _ => None,
        }
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.get(name)? {
            Attr::Ints(v) => Some(v),
            _ => None,
        }
    }

    /// A list of dims.
    pub fn dims(&self, name: &str) -> Option<&[Dim]> {
        match self.get(name)? {
            Attr::Dims(v) => Some(v),
            _ => None,
        }
    }

    /// A random stream.
    pub fn stream(&self, name: &str) -> Option<&StreamKey> {
        match self.get(name)? {
            Attr::Stream(v) => Some(v),
            _ => None,
        }
    }

    /// A state.
    pub fn state(&self, name: &str) -> Option<State> {
        match self.get(name)? {
            Attr::State(v) => Some(*v),
            _ => None,
        }
    }

    /// A model.
    pub fn model(&self, name: &str) -> Option<Model> {
        match self.get(name)? {
            Attr::Model(v) => Some(*v),
            _ => None,
        }
    }
}
