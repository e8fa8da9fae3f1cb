//! What is found out about an op by applying it: the results' types, the work, the gradient and the
//! decomposition of its example. Documentation is printed from it, and tests hold ops to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use syncarp_diag::Located;
use thiserror::Error;

use crate::attr::Attrs;
use crate::builder::{BuildError, GraphBuilder, Values};
use crate::core_ops::INPUT;
use crate::entity::{Model, OpId, Value};
use crate::op::{Expand, Gradient, GradientError, Infer, Op};
use crate::registry::OpRegistry;
use crate::spec::{Arity, Operand};
use crate::text::{Example, print_node_body};
use crate::types::TensorType;

/// How the gradient of an op comes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Differentiable {
    /// By a rule of its own.
    Rule,
    /// By the rules of the ops that it decomposes into.
    Decomposition,
    /// Gradients stop: it is piecewise constant, or its results are no floats.
    Constant,
    /// There is none.
    No,
}

impl fmt::Display for Differentiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Differentiable::Rule => "rule",
            Differentiable::Decomposition => "decomposition",
            Differentiable::Constant => "constant",
            Differentiable::No => "none",
        })
    }
}

/// Nodes that stand for an op, or give its gradient.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// The nodes in the text form, a line each. Operands and results have the names that the op
    /// gives them, gradients those with a `d` in front.
    pub text: String,
    /// The names of their ops, in order.
    pub ops: Vec<String>,
    /// The types of what they give: of the results, or of each operand's gradient where it gets
    /// one.
    pub types: Vec<Option<TensorType>>,
}

/// An op applied to its example.
#[derive(Clone, PartialEq, Debug)]
pub struct Sheet {
    /// What it is applied to.
    pub example: Example,
    /// The types of the results.
    pub results: Vec<TensorType>,
    /// The floating-point operations.
    pub flops: Option<u64>,
    /// The bytes read and written.
    pub bytes: Option<u64>,
    /// How its gradient comes about.
    pub differentiable: Differentiable,
    /// The gradients of all float operands, where it has a rule.
    pub gradient: Option<Part>,
    /// What it decomposes into, where it does.
    pub decomposition: Option<Part>,
}

/// Why an op's example shows nothing. The fault is the op's author's.
#[derive(Debug, Error)]
pub enum SheetError {
    /// It does not read.
    #[error("the example does not read: {0}")]
    Example(#[from] Located),
    /// It or its decomposition does not type.
    #[error("the example does not type: {0}")]
    Build(#[from] BuildError),
    /// Its gradient does not type.
    #[error("the gradient of the example does not type: {0}")]
    Gradient(#[from] GradientError),
}

impl Sheet {
    /// Applies an op to its example, if it has one.
    ///
    /// # Errors
    /// Where the example does not work out.
    pub fn of(registry: &Arc<OpRegistry>, id: OpId) -> Result<Option<Sheet>, SheetError> {
        match registry.op(id).example() {
            Some(text) => Sheet::at(registry, id, Example::parse(text)?).map(Some),
            None => Ok(None),
        }
    }

    /// Applies an op.
    ///
    /// # Errors
    /// Where it does not type.
    pub fn at(registry: &Arc<OpRegistry>, id: OpId, example: Example) -> Result<Sheet, SheetError> {
        let op = registry.op(id);
        let mut forward = Trial::new(registry, op, &example)?;
        let results = forward
            .b
            .emit_id(id, &forward.operands, example.attrs.clone(), None)?;
        let types: Vec<TensorType> = results.iter().map(|v| forward.b.ty(*v).clone()).collect();
        let operands: Vec<&TensorType> = example.operands.iter().collect();
        let cx = Infer {
            operands: &operands,
            attrs: &example.attrs,
        };
        let (flops, bytes) = (op.flops(&cx, &types), op.bytes(&cx, &types));
        let decomposition = Trial::new(registry, op, &example)?.decompose(op, &example, &types)?;
        let constant = op.is_constant() || !types.iter().any(is_float);
        let gradient = match constant || !example.operands.iter().any(is_float) {
            true => None,
            false => forward.gradient(op, &example, &results)?,
        };
        let differentiable = match (constant, &gradient, &decomposition) {
            (true, ..) => Differentiable::Constant,
            (_, Some(_), _) => Differentiable::Rule,
            (_, None, Some(_)) => Differentiable::Decomposition,
            (_, None, None) => Differentiable::No,
        };
        Ok(Sheet {
            example,
            results: types,
            flops,
            bytes,
            differentiable,
            gradient,
            decomposition,
        })
    }
}

fn is_float(ty: &TensorType) -> bool {
    ty.dtype.is_some_and(|d| d.is_float())
}

/// A graph in which an op is tried, and what its values are called.
struct Trial {
    b: GraphBuilder,
    operands: Vec<Value>,
    names: BTreeMap<Value, String>,
}

impl Trial {
    fn new(registry: &Arc<OpRegistry>, op: &dyn Op, example: &Example) -> Result<Self, BuildError> {
        let mut trial = Trial {
            b: GraphBuilder::new(registry.clone()),
            operands: Vec::new(),
            names: BTreeMap::new(),
        };
        for (index, ty) in example.operands.iter().enumerate() {
            let value = trial.input(ty, operand_name(op.operands(), index))?;
            trial.operands.push(value);
        }
        Ok(trial)
    }

    fn input(&mut self, ty: &TensorType, name: String) -> Result<Value, BuildError> {
        let mut attrs = Attrs::new()
            .with("model", Model::new(0))
            .with("name", name.as_str());
        if let Some(dtype) = ty.dtype {
            attrs.set("dtype", dtype);
        }
        if let Some(dims) = ty.dims() {
            attrs.set("dims", dims);
        }
        let value = self.b.emit1(INPUT, &[], attrs)?;
        self.names.insert(value, name);
        Ok(value)
    }

    fn decompose(
        mut self,
        op: &dyn Op,
        example: &Example,
        types: &[TensorType],
    ) -> Result<Option<Part>, BuildError> {
        let first = self.b.graph().nodes().len();
        let parts = op.decompose(&mut Expand {
            b: &mut self.b,
            attrs: &example.attrs,
            operands: &self.operands,
            types,
        });
        let Some(parts) = parts.transpose()? else {
            return Ok(None);
        };
        let named = parts.iter().zip(op.results());
        let named = named.map(|(value, name)| (*value, (*name).to_owned()));
        Ok(Some(self.part(
            first,
            named.collect(),
            parts.into_iter().map(Some),
        )))
    }

    fn gradient(
        mut self,
        op: &dyn Op,
        example: &Example,
        results: &Values,
    ) -> Result<Option<Part>, SheetError> {
        let mut arrived = Vec::new();
        for (value, name) in results.iter().zip(op.results()) {
            self.names.insert(*value, (*name).to_owned());
            let ty = self.b.ty(*value).clone();
            arrived.push(match is_float(&ty) {
                true => Some(self.input(&ty, format!("d{name}"))?),
                false => None,
            });
        }
        let first = self.b.graph().nodes().len();
        let wanted: Vec<bool> = example.operands.iter().map(is_float).collect();
        let mut given = vec![None; wanted.len()];
        let outcome = op.gradient(&mut Gradient {
            b: &mut self.b,
            attrs: &example.attrs,
            operands: &self.operands,
            results,
            arrived: &arrived,
            wanted: &wanted,
            given: &mut given,
        });
        match outcome {
            Err(GradientError::NoRule { .. }) => return Ok(None),
            outcome => outcome?,
        }
        let name = |(index, value): (usize, &Option<Value>)| {
            let name = format!("d{}", operand_name(op.operands(), index));
            value.map(|value| (value, name))
        };
        let named = given.iter().enumerate().filter_map(name).collect();
        Ok(Some(self.part(first, named, given.into_iter())))
    }

    /// The nodes from `first` on, with names for what they give.
    fn part(
        mut self,
        first: usize,
        named: Vec<(Value, String)>,
        given: impl Iterator<Item = Option<Value>>,
    ) -> Part {
        // A value that has a name, or gives two things, is said to be them at the end.
        let mut same = String::new();
        for (value, name) in named {
            match self.names.get(&value) {
                Some(known) => same += &format!("; {name} is {known}\n"),
                None => drop(self.names.insert(value, name)),
            }
        }
        let graph = self.b.graph();
        let nodes: Vec<_> = graph.nodes().skip(first).collect();
        let inner = nodes.iter().flat_map(|node| graph.results(*node));
        let mut count = 0;
        for value in inner {
            self.names.entry(value).or_insert_with(|| {
                count += 1;
                format!("v{}", count - 1)
            });
        }
        let (mut text, mut ops) = (String::new(), Vec::new());
        for node in nodes {
            ops.push(graph.op_name(node).to_owned());
            let mut line = String::new();
            print_node_body(
                graph,
                node,
                &|value, out: &mut String| out.push_str(&self.names[&value]),
                &mut line,
            );
            text.push_str(line.trim_start());
            text.push('\n');
        }
        text.push_str(&same);
        let types = given.map(|value| value.map(|value| graph.ty(value).clone()));
        Part {
            text,
            ops,
            types: types.collect(),
        }
    }
}

/// What the operand at a place is called; those of a variadic one are numbered.
fn operand_name(operands: &[Operand], index: usize) -> String {
    match operands.get(index).or(operands.last()) {
        Some(operand) if operand.arity == Arity::Variadic => {
            format!("{}{}", operand.name, index + 1 - operands.len())
        }
        Some(operand) => operand.name.to_owned(),
        None => format!("x{index}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_neither_gradient_nor_parts() {
        let registry = Arc::new(OpRegistry::new());
        let id = registry.find("constant").unwrap();
        let sheet = Sheet::of(&registry, id).unwrap().unwrap();
        assert_eq!(sheet.results[0].to_string(), "f32[2, 3]");
        assert_eq!((sheet.flops, sheet.bytes), (Some(0), Some(24)));
        assert_eq!(sheet.differentiable, Differentiable::No);
        let wrong = Example::parse("{dtype=f32, value=[1, 2]}").unwrap();
        let error = Sheet::at(&registry, id, wrong).unwrap_err();
        assert!(
            error.to_string().contains("2 values do not fill"),
            "{error}"
        );
    }
}
