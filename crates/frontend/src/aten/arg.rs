//! What functions take and give: tensors, Python's plain values, sizes, and lists of them.

use std::fmt;
use std::rc::Rc;

use syncarp_ir::{Dim, Value};

/// How deep lists may nest: a list in a list in a list says enough.
const MAX_DEPTH: usize = 16;
/// How many items a list may have: a node has fewer than 2^16 operands.
const MAX_ITEMS: usize = 10_000;

/// One argument, or one result.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Arg {
    Tensor(Value),
    Int(i64),
    /// A size that is an expression over symbols, such as the batch dim.
    Dim(Dim),
    /// The size of an axis of a value whose dims are not known yet.
    SizeOf(Value, i64),
    Float(f64),
    Bool(bool),
    Str(Rc<str>),
    None,
    List(List),
}

/// A list or a tuple.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct List {
    items: Rc<[Arg]>,
    depth: usize,
}

impl Arg {
    /// A list of these.
    ///
    /// # Errors
    /// It is too long or nests too deep.
    pub fn list(items: Vec<Arg>) -> Result<Arg, String> {
        let depth = items.iter().map(|item| match item {
            Arg::List(list) => list.depth + 1,
            _ => 1,
        });
        let depth = depth.max().unwrap_or(1);
        if items.len() > MAX_ITEMS || depth > MAX_DEPTH {
            return Err(format!(
                "a list has at most {MAX_ITEMS} items and nests at most {MAX_DEPTH} deep"
            ));
        }
        let items = items.into();
        Ok(Arg::List(List { items, depth }))
    }

    /// A size: a number where it is one.
    pub fn size(dim: &Dim) -> Arg {
        match dim.known().and_then(|number| i64::try_from(number).ok()) {
            Some(number) => Arg::Int(number),
            None => Arg::Dim(dim.clone()),
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Arg]> {
        match self {
            Arg::List(list) => Some(&list.items),
            _ => None,
        }
    }

    /// The tensors in it, in order; none where they are more than `most`.
    pub fn tensors(&self, most: usize) -> Option<Vec<Value>> {
        fn gather(arg: &Arg, most: usize, found: &mut Vec<Value>) -> bool {
            match arg {
                Arg::Tensor(value) => found.push(*value),
                Arg::List(list) => return list.items.iter().all(|item| gather(item, most, found)),
                _ => {}
            }
            found.len() <= most
        }
        let mut found = Vec::new();
        gather(self, most, &mut found).then_some(found)
    }
}

impl fmt::Display for Arg {
    /// What it is, in a few words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arg::Tensor(_) => f.write_str("a tensor"),
            Arg::Int(number) => write!(f, "the integer {number}"),
            Arg::Dim(dim) => write!(f, "the size {dim}"),
            Arg::SizeOf(..) => f.write_str("a size that is not known yet"),
            Arg::Float(number) => write!(f, "the float {number:?}"),
            Arg::Bool(flag) => write!(f, "the boolean {flag}"),
            Arg::Str(text) if text.chars().count() <= 40 => write!(f, "the string {text:?}"),
            Arg::Str(_) => f.write_str("a string"),
            Arg::None => f.write_str("None"),
            Arg::List(list) => write!(f, "a list of {}", list.items.len()),
        }
    }
}
