//! Plans as NNI sees them: on the level of the nodes of its graphs.
//!
//! All nodes of ours that come from one node of NNI's are that node; what comes from within a cell
//! is the cell. Parameters, constants and the evaluator's part are left out, all inputs are one
//! node `_inputs` and all results one node `_outputs`. An edge is (head, slot, tail, slot), where a
//! slot is the number of the input, operand or result.

use std::collections::{BTreeMap, BTreeSet};

use syncarp_evaluator::TARGET;
use syncarp_ir::core_ops::{CONSTANT, INPUT, STATE, STEP_INPUT};
use syncarp_ir::{Device, Graph, Model, Node, OutputKey, Role, TRAIN, Value};
use syncarp_place::Assembly;

use crate::recordings::{list, read, string};

pub type Edge = (String, usize, String, usize);

/// One node as it is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub op: String,
    pub params: BTreeMap<String, i64>,
    pub placement: Option<String>,
    /// Where a copy goes to.
    pub to: Option<String>,
    /// The models that a joined input stands for.
    pub models: Vec<usize>,
}

/// What is within a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inner {
    pub nodes: BTreeMap<String, Seen>,
    pub edges: BTreeSet<Edge>,
}

/// A graph as it is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub nodes: BTreeMap<String, Seen>,
    pub edges: BTreeSet<Edge>,
    pub cells: BTreeMap<String, Inner>,
}

impl View {
    /// The same without what only some recordings tell.
    pub fn without_details(mut self) -> Self {
        self.cells.clear();
        for node in self.nodes.values_mut() {
            node.params.clear();
            node.to = None;
        }
        self
    }
}

/// The nodes of a model's root graph in NNI's file, by the paths that they have here.
pub struct Names(BTreeMap<String, (String, bool)>);

impl Names {
    /// The nodes of a file among the recordings.
    pub fn read(file: &str) -> Self {
        let json = read(file);
        let root = json.pointer("/graphs/_model").unwrap_or(&json["_model"]);
        let mut names = BTreeMap::new();
        for (name, node) in root["nodes"].as_object().unwrap() {
            let entry = (name.clone(), node["operation"]["type"] == "_cell");
            names.insert(name.clone(), entry.clone());
            if let Some(python) = node.get("python_name").filter(|name| !name.is_null()) {
                names.entry(string(python)).or_insert(entry);
            }
        }
        Names(names)
    }

    /// The root node that a path belongs to, whether it is a cell, and the path within.
    fn root(&self, path: &str) -> Owner {
        let mut prefix = path;
        loop {
            if let Some((name, cell)) = self.0.get(prefix) {
                let inner = path[prefix.len()..].trim_start_matches('.');
                let inner = inner.split('.').next().unwrap_or_default();
                return Owner {
                    name: name.clone(),
                    cell: cell.then(|| inner.to_owned()),
                };
            }
            let end = prefix.rfind('.');
            prefix = &prefix[..end.unwrap_or_else(|| panic!("nothing of NNI's is at {path:?}"))];
        }
    }
}

/// A root node of NNI's.
#[derive(Clone, PartialEq, Eq)]
struct Owner {
    name: String,
    /// For a node within a cell, what it is called there.
    cell: Option<String>,
}

/// The level that is seen: models carry their numbers in the batch, counted from 1.
enum Level<'a> {
    Logical,
    Assembly(&'a Assembly),
}

/// A logical graph as NNI sees it.
pub fn logical(graph: &Graph, names: &Names) -> View {
    Walk::new(graph, names, Level::Logical).run()
}

/// An assembly as NNI sees it.
pub fn assembled(assembly: &Assembly, names: &Names) -> View {
    let graph = assembly.plan.graph(TRAIN).unwrap();
    Walk::new(graph, names, Level::Assembly(assembly)).run()
}

struct Walk<'a> {
    graph: &'a Graph,
    names: &'a Names,
    level: Level<'a>,
    /// For every copy, what it is called: after the first node that reads it.
    copies: BTreeMap<Node, String>,
    /// For every value, who gives it and in which slot; none for what is not seen.
    heads: Vec<Option<(String, usize)>>,
    inputs: BTreeMap<Model, usize>,
    view: View,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph, names: &'a Names, level: Level<'a>) -> Self {
        Walk {
            graph,
            names,
            level,
            copies: BTreeMap::new(),
            heads: vec![None; graph.value_count()],
            inputs: BTreeMap::new(),
            view: View::default(),
        }
    }

    fn run(mut self) -> View {
        for node in self.graph.nodes() {
            match self.graph.op_name(node) {
                STATE | CONSTANT => {}
                INPUT => self.input(node),
                "to_device" => self.copy(node),
                _ if self.role(node) != Role::Forward => {}
                _ => self.operation(node),
            }
        }
        self.outputs();
        self.view
    }

    fn role(&self, node: Node) -> Role {
        let set = self.graph.provenance_id(node);
        self.graph.provenance().set(set)[0].role
    }

    /// The model that a node comes from, and its root node. Hidden nodes are never shared here.
    fn owner(&self, node: Node) -> (Model, Owner) {
        let provenance = self.graph.provenance();
        let [origin] = provenance.set(self.graph.provenance_id(node)) else {
            panic!("{node} is shared");
        };
        (origin.model, self.names.root(provenance.path(origin.path)))
    }

    /// The number of a model, counted from 1 in the batch.
    fn number(&self, model: Model) -> usize {
        1 + match &self.level {
            Level::Logical => model.index(),
            Level::Assembly(assembly) => assembly.models[model.index()].index(),
        }
    }

    fn name(&self, model: Model, node: &str) -> String {
        let number = self.number(model);
        match self.level {
            Level::Logical => format!("m{number}:{node}"),
            Level::Assembly(_) => format!("M_{number}_{node}"),
        }
    }

    fn operation_name(&self, node: Node) -> String {
        let (model, owner) = self.owner(node);
        self.name(model, &owner.name)
    }

    fn placement(&self, node: Node) -> Option<String> {
        let Level::Assembly(assembly) = &self.level else {
            assert_eq!(self.graph.device(node), None);
            return None;
        };
        let device = self.graph.device(node).expect("everything is placed");
        Some(match device.index() {
            Some(index) => on(assembly, index),
            None => format!("{}/cpu", assembly.devices[0].host),
        })
    }

    /// Inputs of the evaluator's are not seen.
    fn input(&mut self, node: Node) {
        let attrs = self.graph.attrs(node);
        let name = attrs.str("name").unwrap();
        if [TARGET, STEP_INPUT].contains(&&**name) {
            return;
        }
        let model = attrs.model("model").unwrap();
        let slot = self.inputs.entry(model).or_insert(0);
        let place = *slot;
        *slot += 1;
        let mut seen = Seen {
            op: "_inputs".to_owned(),
            ..Seen::default()
        };
        let models: Vec<usize> = self.graph.models(node).map(|m| self.number(m)).collect();
        let name = match &self.level {
            Level::Assembly(_) => {
                assert_eq!(self.graph.device(node), Some(Device::HOST));
                "_inputs".to_owned()
            }
            Level::Logical if models.len() > 1 => {
                seen.models = models;
                "Dedup__inputs".to_owned()
            }
            Level::Logical => self.name(model, "_inputs"),
        };
        self.heads[self.graph.result(node, 0).index()] = Some((name.clone(), place));
        self.view.nodes.insert(name, seen);
    }

    fn copy(&mut self, node: Node) {
        let Level::Assembly(assembly) = self.level else {
            panic!("a copy before placement");
        };
        let source = self.graph.operands(node)[0];
        let Some((head, slot)) = self.heads[source.index()].clone() else {
            return;
        };
        let to = self.graph.attrs(node).int("to").unwrap() as usize;
        let def = self.graph.def(source);
        let from = match self.graph.op_name(def) {
            INPUT => self.name(self.graph.attrs(def).model("model").unwrap(), "_inputs"),
            _ => self.operation_name(def),
        };
        let value = self.graph.result(node, 0);
        let reader = self
            .graph
            .nodes()
            .find(|n| self.graph.operands(*n).contains(&value));
        let reader = self.operation_name(reader.expect("somebody reads a copy"));
        let name = format!("{from}_to_{reader}");
        self.copies.insert(node, name.clone());
        self.heads[value.index()] = Some((name.clone(), 0));
        self.view.edges.insert((head, slot, name.clone(), 0));
        let seen = Seen {
            op: "to_device".to_owned(),
            placement: self.placement(node),
            to: Some(on(assembly, to)),
            ..Seen::default()
        };
        assert!(
            self.view.nodes.insert(name, seen).is_none(),
            "one copy a device"
        );
    }

    fn operation(&mut self, node: Node) {
        let (model, owner) = self.owner(node);
        let name = self.name(model, &owner.name);
        let op = if owner.cell.is_some() {
            "_cell"
        } else {
            self.graph.op_name(node)
        };
        let seen = Seen {
            op: op.to_owned(),
            params: if owner.cell.is_some() {
                BTreeMap::new()
            } else {
                self.params(node)
            },
            placement: self.placement(node),
            ..Seen::default()
        };
        let before = self.view.nodes.insert(name.clone(), seen.clone());
        assert!(
            before.is_none_or(|before| before == seen),
            "{name} is one thing on one device"
        );
        if let Some(inner) = &owner.cell {
            let seen = Seen {
                op: self.graph.op_name(node).to_owned(),
                params: self.params(node),
                ..Seen::default()
            };
            let cell = self.view.cells.entry(name.clone()).or_default();
            cell.nodes.insert(inner.clone(), seen);
        }
        for value in self.graph.results(node) {
            self.heads[value.index()] = Some((name.clone(), 0));
        }
        for (slot, value) in self.graph.operands(node).iter().enumerate() {
            self.edge(node, *value, &name, slot);
        }
    }

    /// The edge from a value to an operand of a node, and those within the cells that it crosses.
    fn edge(&mut self, node: Node, value: Value, name: &str, slot: usize) {
        let Some((head, from)) = self.heads[value.index()].clone() else {
            return;
        };
        let tail = self.owner(node).1;
        if let Some(inner) = &tail.cell {
            let head = match self.inner(value).filter(|_| head == name) {
                Some(within) if within == *inner => return,
                Some(within) => (within, 0, inner.clone(), slot),
                None => ("_inputs".to_owned(), 0, inner.clone(), slot),
            };
            let cell = self.view.cells.get_mut(name).unwrap();
            cell.edges.insert(head);
        }
        if head != name {
            self.leave(value);
            // A cell has one input here.
            let slot = if tail.cell.is_some() { 0 } else { slot };
            self.view.edges.insert((head, from, name.to_owned(), slot));
        }
    }

    /// What the node that gives a value is called in its cell.
    fn inner(&self, value: Value) -> Option<String> {
        let def = self.graph.def(value);
        let operation = ![INPUT, "to_device"].contains(&self.graph.op_name(def));
        operation.then(|| self.owner(def).1.cell).flatten()
    }

    /// A value is read outside of its cell.
    fn leave(&mut self, value: Value) {
        if let Some(inner) = self.inner(value) {
            let (name, _) = self.heads[value.index()].clone().unwrap();
            let cell = self.view.cells.get_mut(&name).unwrap();
            cell.edges.insert((inner, 0, "_outputs".to_owned(), 0));
        }
    }

    fn outputs(&mut self) {
        let mut slots: BTreeMap<String, usize> = BTreeMap::new();
        for output in self.graph.outputs() {
            let OutputKey::Result(model, _) = &output.key else {
                continue;
            };
            let name = match self.level {
                Level::Logical => self.name(*model, "_outputs"),
                Level::Assembly(_) => "_outputs".to_owned(),
            };
            let next = slots.entry(name.clone()).or_insert(0);
            let slot = *next;
            *next += 1;
            let (head, from) = self.heads[output.value.index()].clone().unwrap();
            self.leave(output.value);
            self.view.edges.insert((head, from, name.clone(), slot));
            let op = "_outputs".to_owned();
            self.view.nodes.insert(
                name,
                Seen {
                    op,
                    ..Seen::default()
                },
            );
        }
    }

    /// What NNI's files say of such a node, as far as the recordings do.
    fn params(&self, node: Node) -> BTreeMap<String, i64> {
        let attrs = self.graph.attrs(node);
        let weight = || {
            let ty = self.graph.ty(self.graph.operands(node)[1]);
            let dims = ty.numbers().expect("weights have known shapes");
            dims.iter().map(|dim| *dim as i64).collect::<Vec<_>>()
        };
        let square = |kernel: &[i64]| {
            assert_eq!(kernel[0], kernel[1], "a square window");
            kernel[0]
        };
        let entries = match self.graph.op_name(node) {
            "linear" => {
                let dims = weight();
                vec![("out_features", dims[0]), ("in_features", dims[1])]
            }
            "conv2d" => {
                let dims = weight();
                let groups = attrs.int("groups").unwrap();
                let kernel = square(&dims[2..]);
                vec![
                    ("out_channels", dims[0]),
                    ("in_channels", dims[1] * groups),
                    ("kernel_size", kernel),
                ]
            }
            "max_pool2d" => vec![("kernel_size", square(attrs.ints("kernel").unwrap()))],
            _ => Vec::new(),
        };
        entries
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

fn on(assembly: &Assembly, index: usize) -> String {
    let device = &assembly.devices[index];
    format!("{}/gpu{}", device.host, device.index)
}

/// The names of a recorded list of graphs that are cells of a model, as paths here.
pub fn cell_paths(names: &serde_json::Value, number: usize) -> Vec<String> {
    let prefix = format!("M_{number}__model__");
    let names = list(names).iter().map(string);
    let own = names.filter_map(|name| name.strip_prefix(&prefix).map(|n| n.replace("__", ".")));
    own.collect()
}
