//! What the names of a file stand for while it is imported.

use std::rc::Rc;

use syncarp_ir::Value;

use crate::known::Known;

/// A tensor, wherever it is. Only what an op needs gets into the graph.
#[derive(Clone)]
pub(crate) enum Tensor {
    /// In the graph.
    Value(Value),
    /// Known here.
    Known(Rc<Known>),
    /// A tensor of the file, by its place in the importer's table.
    Weight(usize),
}

impl From<Value> for Tensor {
    fn from(value: Value) -> Tensor {
        Tensor::Value(value)
    }
}

impl From<Known> for Tensor {
    fn from(known: Known) -> Tensor {
        Tensor::Known(Rc::new(known))
    }
}

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Item {
    Tensor(Tensor),
    /// A sequence whose length is known, as all are here.
    Sequence(Rc<[Tensor]>),
    /// An optional that holds nothing.
    Nothing,
    /// The result of a node that could not be taken over.
    Lost,
}

impl<T: Into<Tensor>> From<T> for Item {
    fn from(tensor: T) -> Item {
        Item::Tensor(tensor.into())
    }
}
