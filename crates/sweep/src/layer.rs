//! What a resolved model is made of, before anybody knows what its layers mean.

use std::ops::Range;

use crate::args::Args;
use crate::lora::Lora;
use crate::value::Spanned;

/// One part of a model; the output of a part is the input of the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its name, where it has one; no two parts of a model have the same. An empty one puts nothing
    /// before the paths in it.
    pub name: Option<Spanned<String>>,
    /// What it consists of.
    pub body: PartBody,
    /// Where the graph of a file ends: the path of a module or node in it, whose value is what the
    /// part gives. Without it that is the graph's first result.
    pub cut: Option<Spanned<String>>,
    /// Low-rank adapters; all other parameters of the part are frozen then.
    pub lora: Option<Lora>,
    /// Patterns (see [`crate::glob_matches`]) of the names to freeze, parameters and buffers both,
    /// with batch norm and dropout in their eval form.
    pub freeze: Vec<Spanned<String>>,
    /// Patterns of the parameters to freeze while everything keeps its training form.
    pub freeze_parameters: Vec<Spanned<String>>,
    /// Where the part is written.
    pub span: Range<usize>,
}

/// What a part consists of.
#[derive(Debug, Clone, PartialEq)]
pub enum PartBody {
    /// A graph in a file, as written; a relative path starts at the sweep's base folder.
    File(Spanned<String>),
    /// Layers, one after the other; none are the identity.
    Layers(Vec<LayerNode>),
}

/// A layer, or layers that belong together. Repeats and conditions are already expanded.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerNode {
    /// One layer.
    Layer {
        /// Its explicit name, unique in its list.
        name: Option<Spanned<String>>,
        /// What kind of layer, spelled as in the file (`linear`, `Linear`, `batch-norm`).
        kind: Spanned<String>,
        /// Its arguments.
        args: Args,
        /// Where it is written.
        span: Range<usize>,
    },
    /// Several lists of layers that all take the same input and whose outputs are joined.
    Branches {
        /// Its explicit name, unique in its list.
        name: Option<Spanned<String>>,
        /// The lists, at least one; an empty list is the identity.
        branches: Vec<Vec<LayerNode>>,
        /// How the outputs are joined.
        join: Join,
        /// Where it is written.
        span: Range<usize>,
    },
    /// Layers with a name of their own, which is a step of their parameters' paths.
    Sequence {
        /// The name, unique in its list.
        name: Spanned<String>,
        /// The layers, one after the other.
        layers: Vec<LayerNode>,
        /// Where it is written.
        span: Range<usize>,
    },
}

/// How the outputs of branches are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// Summed element by element.
    Add,
    /// Multiplied element by element, dims of size 1 repeated.
    Mul,
    /// One after the other along an axis; a negative axis counts from the last.
    Concat {
        /// The axis, where 0 is the batch.
        dim: i64,
    },
}

impl LayerNode {
    /// Its explicit name, where it has one.
    pub fn name(&self) -> Option<&Spanned<String>> {
        match self {
            LayerNode::Layer { name, .. } | LayerNode::Branches { name, .. } => name.as_ref(),
            LayerNode::Sequence { name, .. } => Some(name),
        }
    }

    /// Where it is written.
    pub fn span(&self) -> Range<usize> {
        match self {
            LayerNode::Layer { span, .. }
            | LayerNode::Branches { span, .. }
            | LayerNode::Sequence { span, .. } => span.clone(),
        }
    }
}
