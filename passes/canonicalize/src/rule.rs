//! What a rule is, what it looks at, and what it may answer. Rules emit nothing: they are functions
//! from data to data, so that they are tried on a graph that stays as it is where none fits.

use smallvec::SmallVec;
use syncarp_ir::{
    Attr, Attrs, DType, Dim, Graph, Node, Op, OpId, Purity, TensorType, TypeId, Value, core_ops,
};

/// One rewrite of one node.
pub(crate) struct Rule {
    /// Its name in statistics.
    pub name: &'static str,
    /// What it turns into what, and why that is the same.
    pub doc: &'static str,
    /// The ops that it rewrites.
    pub roots: Roots,
    /// Whether the gradients of what it gives have the same bits, beside the order of sums.
    pub gradient: Gradient,
    /// What becomes of a node; none where the rule does not fit.
    pub apply: fn(&Site<'_>) -> Option<Become>,
}

/// Which ops a rule rewrites.
#[derive(Clone, Copy)]
pub(crate) enum Roots {
    /// Those of these names; a name that a program does not know is passed over.
    Named(&'static [&'static str]),
    /// All for which this holds.
    All(fn(&dyn Op) -> bool),
}

/// What a rule does to gradients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gradient {
    /// They stay the same bits.
    Same,
    /// They are rounded otherwise: trained nodes are left alone before differentiation.
    Other,
}

/// A node that is about to be emitted, and the graph up to it.
pub(crate) struct Site<'a> {
    /// The nodes before it.
    pub graph: &'a Graph,
    pub op: OpId,
    pub operands: &'a [Value],
    pub attrs: &'a Attrs,
    /// The types that its results must keep.
    pub types: &'a [TypeId],
}

/// What becomes of a node.
pub(crate) enum Become {
    /// Its results are these.
    Values(SmallVec<[New; 2]>),
    /// It is this node.
    Node {
        op: &'static str,
        operands: SmallVec<[New; 4]>,
        attrs: Attrs,
    },
    /// It has other attributes.
    Attrs(Attrs),
}

/// A value that a rule names.
#[derive(Clone)]
pub(crate) enum New {
    /// One that is there.
    Value(Value),
    /// A constant of one number, of this type.
    Constant(Box<(TensorType, Attr)>),
}

impl New {
    /// A constant that is filled with a number.
    pub(crate) fn constant(ty: TensorType, number: f64) -> New {
        New::Constant(Box::new((ty, Attr::Float(number))))
    }
}

impl Become {
    /// The results are one value that is there.
    pub(crate) fn value(value: Value) -> Become {
        Become::Values(SmallVec::from_iter([New::Value(value)]))
    }

    /// It is an op of values that are there.
    pub(crate) fn node(op: &'static str, operands: &[Value], attrs: Attrs) -> Become {
        Become::Node {
            op,
            operands: operands.iter().copied().map(New::Value).collect(),
            attrs,
        }
    }
}

impl<'a> Site<'a> {
    /// The name of its op.
    pub(crate) fn name(&self) -> &'static str {
        self.graph.registry().op(self.op).name()
    }

    /// The type that its only result keeps.
    pub(crate) fn ty(&self) -> &'a TensorType {
        &self.graph.types()[self.types[0].index()]
    }

    /// An operand's type.
    pub(crate) fn operand_type(&self, index: usize) -> &'a TensorType {
        self.graph.ty(self.operands[index])
    }

    /// Whether an operand has the type of the only result.
    pub(crate) fn keeps_type_of(&self, index: usize) -> bool {
        self.types.len() == 1 && self.graph.type_id(self.operands[index]) == self.types[0]
    }

    /// The only operand, which stands for the only result; none where their types differ.
    pub(crate) fn through(&self) -> Option<Become> {
        let fits = self.operands.len() == 1 && self.keeps_type_of(0);
        fits.then(|| Become::value(self.operands[0]))
    }

    /// The node that defines an operand.
    pub(crate) fn def(&self, index: usize) -> Node {
        self.graph.def(self.operands[index])
    }

    /// The node that defines an operand, where it is of this op.
    pub(crate) fn def_of(&self, index: usize, op: &str) -> Option<Node> {
        let node = self.def(index);
        (self.graph.op_name(node) == op).then_some(node)
    }

    /// The number that an operand is filled with, where it is a constant of one.
    pub(crate) fn number(&self, index: usize) -> Option<Number> {
        let node = self.def_of(index, core_ops::CONSTANT)?;
        let attrs = self.graph.attrs(node);
        match (attrs.dtype("dtype")?, attrs.get("value")?) {
            (dtype, Attr::Float(v)) if dtype.is_float() => Some(Number::Float(*v)),
            (dtype, Attr::Int(v)) if dtype.is_float() => Some(Number::Float(*v as f64)),
            (DType::Bool, _) => None,
            (_, Attr::Int(v)) => Some(Number::Int(*v)),
            _ => None,
        }
    }

    /// Whether an operand is a constant.
    pub(crate) fn is_constant(&self, index: usize) -> bool {
        let op = self.graph.op(self.def(index));
        op.purity() == Purity::Source && op.name() == core_ops::CONSTANT
    }

    /// The result's dims where they and the element type are known.
    pub(crate) fn complete_dims(&self) -> Option<&'a [Dim]> {
        let ty = self.ty();
        ty.dims().filter(|_| ty.is_complete())
    }
}

/// A constant's number, by the kind of its element type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Float(f64),
    Int(i64),
}

impl Number {
    /// Whether it is this float, to the sign of zero, or this integer.
    pub(crate) fn is(self, float: f64, int: i64) -> bool {
        match self {
            Number::Float(v) => v.to_bits() == float.to_bits(),
            Number::Int(v) => v == int,
        }
    }
}
