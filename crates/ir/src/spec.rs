//! What an op takes: operands, attributes, and what an attribute is where it is left out.

use std::fmt;

use crate::attr::{Attr, AttrKind, Attrs};
use crate::dim::Dim;

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
    /// What it means, with units, and what holds where it is left out unless `default` says that.
    pub doc: &'static str,
    /// What leaving it out is the same as writing, where there is one such value for all nodes.
    pub default: Option<AttrDefault>,
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

    /// The same attribute, for which leaving it out is the same as writing this value.
    #[must_use]
    pub const fn or(self, default: AttrDefault) -> AttrSpec {
        AttrSpec {
            default: Some(default),
            ..self
        }
    }
}

/// The value that an optional attribute has where it is left out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AttrDefault {
    /// This truth value.
    Bool(bool),
    /// This integer.
    Int(i64),
    /// This float.
    Float(f64),
    /// This text.
    Str(&'static str),
    /// A list of integers, each of them this one, as many as the op's form asks for.
    Each(i64),
    /// No dims: a scalar's.
    NoDims,
    /// The value of another attribute.
    As(&'static str),
}

impl AttrDefault {
    /// Whether a node that writes this value, one of these attributes, says what it would say by
    /// leaving it out.
    pub fn is(self, value: &Attr, attrs: &Attrs) -> bool {
        match (self, value) {
            (AttrDefault::Bool(a), Attr::Bool(b)) => a == *b,
            (AttrDefault::Int(a), Attr::Int(b)) => a == *b,
            (AttrDefault::Float(a), Attr::Float(b)) => a.to_bits() == b.to_bits(),
            (AttrDefault::Str(a), Attr::Str(b)) => *a == **b,
            (AttrDefault::Each(a), Attr::Ints(b)) => b.iter().all(|b| a == *b),
            (AttrDefault::NoDims, Attr::Dims(b)) => b.is_empty(),
            (AttrDefault::As(other), value) => attrs.get(other) == Some(value),
            _ => false,
        }
    }

    /// The value; none where the node decides it.
    pub fn value(self) -> Option<Attr> {
        match self {
            AttrDefault::Bool(v) => Some(v.into()),
            AttrDefault::Int(v) => Some(v.into()),
            AttrDefault::Float(v) => Some(v.into()),
            AttrDefault::Str(v) => Some(v.into()),
            AttrDefault::NoDims => Some(Vec::<Dim>::new().into()),
            AttrDefault::Each(_) | AttrDefault::As(_) => None,
        }
    }
}

impl fmt::Display for AttrDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttrDefault::Bool(v) => write!(f, "{v}"),
            AttrDefault::Int(v) => write!(f, "{v}"),
            AttrDefault::Float(v) => write!(f, "{v:?}"),
            AttrDefault::Str(v) => write!(f, "{v:?}"),
            AttrDefault::Each(v) => write!(f, "[{v}, ...]"),
            AttrDefault::NoDims => write!(f, "[]"),
            AttrDefault::As(other) => write!(f, "as `{other}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_value_is_the_default() {
        let none = Attrs::new();
        for default in [
            AttrDefault::Bool(false),
            AttrDefault::Int(1),
            AttrDefault::Float(0.0),
            AttrDefault::Str("none"),
            AttrDefault::NoDims,
        ] {
            assert!(default.is(&default.value().unwrap(), &none), "{default}");
            for other in [
                Attr::Bool(true),
                Attr::Int(2),
                Attr::Float(-0.0),
                Attr::from("tanh"),
            ] {
                assert!(!default.is(&other, &none), "{default} {other:?}");
            }
        }
        let ones = Attr::from(vec![1, 1]);
        assert!(AttrDefault::Each(1).is(&ones, &none));
        assert!(!AttrDefault::Each(1).is(&Attr::from(vec![1, 2]), &none));
        let kernel = Attrs::new().with("kernel", ones.clone());
        assert!(AttrDefault::As("kernel").is(&ones, &kernel));
        assert!(!AttrDefault::As("kernel").is(&ones, &none));
        assert_eq!(AttrDefault::Each(1).to_string(), "[1, ...]");
    }
}
