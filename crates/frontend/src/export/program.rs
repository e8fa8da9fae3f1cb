//! An exported program, whichever form its file has: a graph of ATen's functions over named values.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use syncarp_ir::DType;

use super::error::{Fault, shown};
use super::expression::Expression;

/// Text of a file, where it stands there as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'f>(#[serde(borrow)] pub Cow<'f, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'f> From<&'f str> for Text<'f> {
    fn from(text: &'f str) -> Self {
        Text(Cow::Borrowed(text))
    }
}

/// A value of a graph, by its place in the graph's list of names.
pub(super) type ValueId = usize;

/// A whole program.
#[derive(Debug)]
pub(super) struct Program<'f> {
    /// What the graph starts from, in order.
    pub inputs: Vec<Input<'f>>,
    pub graph: Graph<'f>,
    pub outputs: Vec<Output<'f>>,
}

/// Something that the graph starts from.
#[derive(Debug)]
pub(super) struct Input<'f> {
    pub value: ValueId,
    pub from: Origin<'f>,
}

/// Where an input comes from.
#[derive(Debug)]
pub(super) enum Origin<'f> {
    /// A parameter, buffer or constant of this name.
    State(Text<'f>),
    /// An argument of the model: a tensor.
    Tensor { dtype: DType, dims: Vec<Expression> },
    /// An argument that is a number, which was fixed while tracing.
    Fixed(Argument<'f>),
    /// An argument that is a symbolic number.
    Number(Expression),
}

/// Something that the program gives back.
#[derive(Debug)]
pub(super) enum Output<'f> {
    /// A result of the model.
    Result(Argument<'f>),
    /// The next content of the state of this name.
    Mutation(Text<'f>, Argument<'f>),
    /// What is of no use here, such as the next content of an argument.
    Ignored,
}

/// Nodes in an order of execution.
#[derive(Debug, Default)]
pub(super) struct Graph<'f> {
    /// The values' names.
    pub names: Vec<Text<'f>>,
    pub inputs: Vec<ValueId>,
    pub nodes: Vec<Node<'f>>,
    pub outputs: Vec<Argument<'f>>,
}

/// One call of a function.
#[derive(Debug)]
pub(super) struct Node<'f> {
    pub name: Text<'f>,
    /// `aten.conv2d.default`, `operator.mul`, `higher_order.cond`.
    pub op: Text<'f>,
    /// The module that it comes from: `layer1.0.conv1`.
    pub path: Text<'f>,
    /// By the names of the function's schema, or "0", "1", ... where it has none.
    pub args: Vec<(Text<'f>, Argument<'f>)>,
    /// None where a result is absent.
    pub outputs: Vec<Option<ValueId>>,
}

/// What a function is called with.
#[derive(Debug)]
pub(super) enum Argument<'f> {
    None,
    Value(ValueId),
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(Text<'f>),
    DType(DType),
    /// An element type that there is not here, by its name.
    NoDType(String),
    /// A device, a layout, a memory format.
    Other(Text<'f>),
    List(Vec<Argument<'f>>),
    Graph(Box<Graph<'f>>),
    /// Something else, by its tag in the file.
    Unknown(Text<'f>),
}

/// The names of a graph's values while it is read.
#[derive(Default)]
pub(super) struct Names<'f> {
    ids: HashMap<Text<'f>, ValueId>,
    names: Vec<Text<'f>>,
}

impl<'f> Names<'f> {
    /// A new value.
    pub fn define(&mut self, name: &Text<'f>, at: &str) -> Result<ValueId, Fault> {
        let id = self.names.len();
        if self.ids.insert(name.clone(), id).is_some() {
            let message = format!("a second value is called `{}`", shown(name));
            return Err(Fault::new(at, message));
        }
        self.names.push(name.clone());
        Ok(id)
    }

    /// A value that is there already.
    pub fn find(&self, name: &Text<'f>, at: &dyn Fn() -> String) -> Result<ValueId, Fault> {
        let found = self.ids.get(name).copied();
        found.ok_or_else(|| {
            let message = format!("takes `{}`, which nothing before it gives", shown(name));
            Fault::new(at(), message)
        })
    }

    pub fn finish(self) -> Vec<Text<'f>> {
        self.names
    }
}
