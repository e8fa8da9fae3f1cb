//! From wired graphs to one model graph: cells are put in their places, each instance by itself,
//! and every operation becomes ops.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use syncarp_diag::Located;
use syncarp_ir::{Attrs, GraphBuilder, OpRegistry, Plan, TensorType, Value};

use super::document::{Document, NodeDef};
use super::json::{plain, shown};
use super::module::Module;
use super::note::{Note, NoteKind};
use super::prim;
use super::wiring::{Head, MAX_SLOTS, Wired};
use crate::apply::Application;
use crate::aten::{Arg, Call, Functions, Named};
use crate::context::join;
use crate::draft::Draft;
use crate::registry::LayerRegistry;

/// The longest path that a node may get.
const MAX_PATH: usize = 1024;
/// How many nodes of one unknown operation are named.
const MAX_NAMED: usize = 8;

/// Lowers a document to the plan of one model of this name. `inputs` are the types of those inputs
/// of the root graph that are known already.
///
/// # Errors
/// A mistake in the document, or something that its author must write otherwise, with its place.
pub(crate) fn lower(
    document: &Document,
    wired: &[Wired],
    name: &str,
    ops: &Arc<OpRegistry>,
    layers: &LayerRegistry,
    inputs: &[(&str, TensorType)],
) -> Result<(Plan, Vec<Note>), Located> {
    let modules = document.graphs.iter().map(|graph| {
        let nodes = graph.nodes.iter();
        nodes
            .map(|node| Module::of(node, layers, &document.source))
            .collect()
    });
    let modules: Vec<Vec<Option<Module>>> = modules.collect::<Result<_, _>>()?;
    let draft = Draft::new(name, &document.source, GraphBuilder::new(ops.clone()), &[]);
    let functions = Functions::standard();
    let mut inliner = Inliner {
        draft,
        document,
        wired,
        modules: &modules,
        layers,
        functions: &functions,
        unknown: BTreeMap::new(),
    };
    let inputs = inliner.inputs(inputs)?;
    let (outputs, _) = inliner.graph(document.root, "", &inputs, None)?;
    let results = inliner.results(outputs)?;
    let notes = inliner.notes();
    let results: Vec<(&str, Value)> = results.iter().map(|(name, v)| (&**name, *v)).collect();
    Ok((inliner.draft.finish(&results), notes))
}

/// The names of a graph's inputs: as written, else `x`, or `x0`, `x1`, ...
pub(crate) fn input_names(document: &Document, wired: &[Wired]) -> Vec<String> {
    let root = document.root;
    match (&document.graphs[root].inputs, wired[root].inputs) {
        (Some(names), _) => names.iter().map(|name| name.value.clone()).collect(),
        (None, 1) => vec!["x".to_owned()],
        (None, count) => (0..count).map(|place| format!("x{place}")).collect(),
    }
}

/// A graph as it was put in one place: where the modules of its nodes have their states.
#[derive(Default)]
struct Instance {
    nodes: BTreeMap<usize, Owner>,
}

/// Where a module has its states; for a cell, where those within have theirs.
struct Owner {
    path: String,
    cell: Option<Instance>,
}

/// One application of a node's operation.
struct At<'n> {
    graph: usize,
    /// The node that has the operation.
    node: usize,
    /// Where it stands.
    path: &'n str,
    /// Where its states are, if they are there already.
    owner: Option<&'n Owner>,
    /// How many of its results are told apart.
    results: u32,
    span: &'n Range<usize>,
}

/// Operations that nobody knows, of one type.
struct Unknown {
    place: Range<usize>,
    nodes: Vec<String>,
    count: usize,
}

struct Inliner<'i, 'a> {
    draft: Draft<'a>,
    document: &'a Document,
    wired: &'i [Wired],
    modules: &'a [Vec<Option<Module>>],
    layers: &'i LayerRegistry,
    functions: &'i Functions,
    unknown: BTreeMap<String, Unknown>,
}

impl<'a> Inliner<'_, 'a> {
    fn error(&self, span: &Range<usize>, message: impl Into<String>) -> Located {
        Located::new(&self.document.source, span.clone(), message)
    }

    /// The inputs of the root graph.
    fn inputs(&mut self, known: &[(&str, TensorType)]) -> Result<Vec<Arg>, Located> {
        let root = &self.document.graphs[self.document.root];
        let names = input_names(self.document, self.wired);
        let mut inputs = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let span = root
                .inputs
                .as_ref()
                .map_or(&root.name.span, |names| &names[place].span);
            if name == syncarp_ir::core_ops::STEP_INPUT {
                let message = format!("an input cannot be called `{name}`, which counts the steps");
                return Err(self.error(span, message));
            }
            let ty = known.iter().find(|(n, _)| n == name);
            let ty = ty.map_or_else(TensorType::unknown, |(_, ty)| ty.clone());
            let value = self.draft.input_of(name, &ty);
            let value = value.map_err(|error| self.error(span, error.to_string()))?;
            inputs.push(Arg::Tensor(value));
        }
        Ok(inputs)
    }

    /// The results by name: `output`, or of several `output.0`, `output.1`, ...
    fn results(&self, mut outputs: Vec<Arg>) -> Result<Vec<(String, Value)>, Located> {
        let span = &self.document.graphs[self.document.root].name.span;
        while let [Arg::List(_)] = &outputs[..] {
            outputs = outputs[0].items().unwrap_or_default().to_vec();
        }
        let mut results = Vec::new();
        let several = outputs.len() > 1;
        let mut rest: Vec<(String, Arg)> = Vec::new();
        for (place, output) in outputs.into_iter().enumerate().rev() {
            let name = match several {
                true => format!("output.{place}"),
                false => "output".to_owned(),
            };
            rest.push((name, output));
        }
        while let Some((name, output)) = rest.pop() {
            match output {
                Arg::Tensor(value) => results.push((name, value)),
                Arg::List(_) => {
                    let items = output.items().unwrap_or_default().iter().enumerate().rev();
                    rest.extend(items.map(|(i, item)| (format!("{name}.{i}"), item.clone())));
                }
                other => {
                    return Err(self.error(span, format!("a result is {other}, not a tensor")));
                }
            }
            if results.len() + rest.len() > MAX_SLOTS as usize {
                return Err(self.error(span, format!("there are more than {MAX_SLOTS} results")));
            }
        }
        match results.is_empty() {
            true => Err(self.error(span, "the model gives nothing back")),
            false => Ok(results),
        }
    }

    /// A graph's outputs at a place in the model. `first` is where its states are, if the same cell
    /// is applied again.
    fn graph(
        &mut self,
        graph: usize,
        scope: &str,
        inputs: &[Arg],
        first: Option<&Instance>,
    ) -> Result<(Vec<Arg>, Instance), Located> {
        let wired = &self.wired[graph];
        let document = self.document;
        let nodes = &document.graphs[graph].nodes;
        let mut values: Vec<Option<Arg>> = vec![None; nodes.len()];
        let mut instance = Instance::default();
        for place in &wired.order {
            let heads = wired.operands[*place].iter();
            let operands = heads.map(|head| self.select(head, inputs, &values));
            let operands = operands.collect::<Result<Vec<_>, _>>()?;
            let path = self.path(scope, &nodes[*place])?;
            let shared = wired.shared[*place];
            let owner = match shared {
                Some(owner) => instance.nodes.get(&owner),
                None => first.and_then(|first| first.nodes.get(place)),
            };
            let at = At {
                graph,
                node: shared.unwrap_or(*place),
                path: &path,
                owner,
                results: wired.results[*place],
                span: &nodes[*place].kind.span,
            };
            let (value, cell) = self.node(&at, operands)?;
            let path = owner.map_or(path.clone(), |owner| owner.path.clone());
            instance.nodes.insert(*place, Owner { path, cell });
            values[*place] = Some(value);
        }
        let outputs = wired.outputs.iter();
        let outputs = outputs.map(|head| self.select(head, inputs, &values));
        Ok((outputs.collect::<Result<_, _>>()?, instance))
    }

    /// What comes from a head of an edge.
    fn select(&self, head: &Head, inputs: &[Arg], values: &[Option<Arg>]) -> Result<Arg, Located> {
        let out_of = |items: &[Arg], slot: u32| {
            items.get(slot as usize).cloned().ok_or_else(|| {
                let message = format!("there is no slot {slot}: it gives {} values", items.len());
                self.error(&head.span, message)
            })
        };
        let whole = match head.node {
            // Nodes come after those that they take from.
            Some(node) => values[node].clone().unwrap_or(Arg::None),
            None => match (inputs, head.slot) {
                (inputs, Some(slot)) => return out_of(inputs, slot),
                ([one], None) => return Ok(one.clone()),
                (several, None) => {
                    let list = Arg::list(several.to_vec());
                    return list.map_err(|message| self.error(&head.span, message));
                }
            },
        };
        match (&whole, head.slot) {
            (_, None) => Ok(whole),
            (Arg::List(_), Some(slot)) => out_of(whole.items().unwrap_or_default(), slot),
            (_, Some(slot)) => out_of(std::slice::from_ref(&whole), slot),
        }
    }

    /// The path of a node: its name in Python, if that is free and lies within its cell, else its
    /// name under the cell's path.
    fn path(&mut self, scope: &str, node: &NodeDef) -> Result<String, Located> {
        let within = |name: &&String| {
            let rest = name.strip_prefix(scope);
            let inner = rest.and_then(|rest| rest.strip_prefix('.'));
            !name.is_empty() && (scope.is_empty() || inner.is_some_and(|inner| !inner.is_empty()))
        };
        let mut path = join(scope, &node.name.value);
        let python = node.python_name.as_ref().filter(within);
        if python.map_or(0, String::len).max(path.len()) > MAX_PATH {
            let message = format!("the path of this node has more than {MAX_PATH} bytes");
            return Err(self.error(&node.name.span, message));
        }
        if let Some(name) = python.filter(|name| self.draft.claim(name)) {
            return Ok(name.clone());
        }
        let mut number = 1;
        while !self.draft.claim(&path) {
            number += 1;
            path = join(scope, &format!("{}-{number}", node.name.value));
        }
        Ok(path)
    }

    fn node(
        &mut self,
        at: &At<'_>,
        operands: Vec<Arg>,
    ) -> Result<(Arg, Option<Instance>), Located> {
        let document = self.document;
        let node = &document.graphs[at.graph].nodes[at.node];
        if let Some(cell) = self.wired[at.graph].cells[at.node] {
            return self.cell(at, cell, &operands);
        }
        if let Some(module) = &self.modules[at.graph][at.node]
            && let [operand] = &operands[..]
        {
            return Ok((self.module(at, module, operand)?, None));
        }
        let wrong = |message: String| {
            let message = format!("`{}` at `{}`: {message}", node.kind.value, at.path);
            Located::new(&document.source, at.span.clone(), message)
        };
        let kind = &*node.kind.value;
        let mut given = None;
        if kind == "noop_identity" {
            let [operand] = &operands[..] else {
                return Err(wrong(format!("takes one value, not {}", operands.len())));
            };
            given = Some(operand.clone());
        } else if let Some(name) = kind.strip_prefix("prim::") {
            given = prim::evaluate(name, node, &operands).map_err(wrong)?;
        } else if let Some(named) = function(kind)
            && let Some(function) = self.functions.find(&named)
        {
            let call = Call::new(&mut self.draft, at.path, function, &named, &operands, &[]);
            given = Some(call.and_then(Call::lower).map_err(wrong)?);
        }
        match given {
            Some(given) => Ok((given, None)),
            None => Ok((self.custom(at, node, &operands)?, None)),
        }
    }

    fn cell(
        &mut self,
        at: &At<'_>,
        cell: usize,
        operands: &[Arg],
    ) -> Result<(Arg, Option<Instance>), Located> {
        let wanted = self.wired[cell].inputs;
        if wanted != operands.len() {
            let name = shown(&self.document.graphs[cell].name.value);
            let message = format!(
                "the cell {name} has {wanted} inputs, but gets {}",
                operands.len()
            );
            return Err(self.error(at.span, message));
        }
        let first = at.owner.and_then(|owner| owner.cell.as_ref());
        let (mut outputs, instance) = self.graph(cell, at.path, operands, first)?;
        let output = match outputs.len() {
            1 => outputs.remove(0),
            _ => Arg::list(outputs).map_err(|message| self.error(at.span, message))?,
        };
        Ok((output, Some(instance)))
    }

    fn module(&mut self, at: &At<'_>, module: &'a Module, operand: &Arg) -> Result<Arg, Located> {
        let Arg::Tensor(input) = operand else {
            let message = format!(
                "`{}` at `{}` takes a tensor, not {operand}",
                module.kind.value, at.path
            );
            return Err(self.error(at.span, message));
        };
        let Some(layer) = self.layers.find(&module.kind.value) else {
            unreachable!("a module is made only where there is a layer for it");
        };
        let application = Application {
            layer,
            kind: &module.kind,
            args: &module.args,
            path: at.path,
            owner: at.owner.map_or(at.path, |owner| &owner.path),
            again: at.owner.is_some(),
        };
        application.emit(&mut self.draft, *input).map(Arg::Tensor)
    }

    /// Keeps an operation that nobody knows: its name, its parameters and what it takes.
    fn custom(&mut self, at: &At<'_>, node: &NodeDef, operands: &[Arg]) -> Result<Arg, Located> {
        let mut tensors = Vec::new();
        let mut others = Vec::new();
        for (slot, operand) in operands.iter().enumerate() {
            match operand.tensors(MAX_SLOTS as usize) {
                Some(found) if found.is_empty() => others.push(format!("{slot}: {operand}")),
                Some(found) => tensors.extend(found),
                None => return Err(self.error(at.span, "too many operands")),
            }
        }
        if tensors.len() > MAX_SLOTS as usize {
            return Err(self.error(at.span, "too many operands"));
        }
        let kind = &*node.kind.value;
        let mut attrs = Attrs::new().with("op", kind);
        if at.results > 1 {
            attrs.set("results", i64::from(at.results));
        }
        if !node.parameters.value.is_empty() {
            attrs.set("parameters", &*plain(&node.parameters.value).to_string());
        }
        if !others.is_empty() {
            attrs.set("arguments", &*others.join(", "));
        }
        let values = self
            .draft
            .at(at.path, |draft| draft.b.emit("custom", &tensors, attrs));
        let values = values.map_err(|error| self.error(at.span, error.to_string()))?;
        let unknown = self
            .unknown
            .entry(kind.to_owned())
            .or_insert_with(|| Unknown {
                place: node.kind.span.clone(),
                nodes: Vec::new(),
                count: 0,
            });
        unknown.count += 1;
        if unknown.nodes.len() < MAX_NAMED {
            unknown.nodes.push(shown(at.path));
        }
        match &values[..] {
            [value] => Ok(Arg::Tensor(*value)),
            values => {
                let values = values.iter().map(|value| Arg::Tensor(*value)).collect();
                Arg::list(values).map_err(|message| self.error(at.span, message))
            }
        }
    }

    /// What there is to say of the whole, in the file's order.
    fn notes(&mut self) -> Vec<Note> {
        let mut unknown: Vec<(String, Unknown)> =
            std::mem::take(&mut self.unknown).into_iter().collect();
        unknown.sort_by_key(|(_, unknown)| unknown.place.start);
        let note = |(kind, unknown): (String, Unknown)| {
            let more = match unknown.count - unknown.nodes.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message = format!(
                "nobody knows the operation {}; it is kept as a `custom` op at {}{more}",
                shown(&kind),
                unknown.nodes.join(", ")
            );
            let help = "no engine runs it: write the model without it, or register a layer or a \
                        function of this name";
            let place = self.error(&unknown.place, message).with_help(help);
            Note {
                kind: NoteKind::Unknown,
                place,
            }
        };
        unknown.into_iter().map(note).collect()
    }
}

/// The function that an operation calls: ATen's, or one of `torch.nn.functional`.
fn function(kind: &str) -> Option<Named<'_>> {
    match kind.strip_prefix("aten::") {
        Some(name) => Some(Named::aten(name)),
        None => kind.strip_prefix("Function.").map(Named::functional),
    }
}
