//! What of a graph is drawn: boxes, arrows and clusters, without any place yet.

use std::collections::{BTreeMap, BTreeSet};

use syncarp_ir::core_ops::{CONSTANT, INPUT, STATE};
use syncarp_ir::{Device, Graph, Model, Node, OutputKey, Plan, StateKind, Value};

/// The most boxes that a person can look at.
const MOST: usize = 220;
/// How many lines are told about one box.
const LINES: usize = 24;

/// What a box stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Something from outside.
    Input,
    /// One op.
    Op,
    /// Several ops of one module.
    Group,
    /// Something that the graph gives back.
    Output,
}

/// Where a box stands: on a device, in a model's own part or in what several share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cluster {
    pub device: Option<Device>,
    /// None for what several models share.
    pub model: Option<Model>,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub kind: Kind,
    pub label: String,
    /// Smaller, under the label.
    pub notes: Vec<String>,
    /// Told when somebody points at it.
    pub lines: Vec<String>,
    pub cluster: Cluster,
    pub models: usize,
}

/// An arrow from box to box, with the type of what flows, the first of several.
#[derive(Debug)]
pub(crate) struct Arrow {
    pub from: usize,
    pub to: usize,
    pub ty: String,
}

#[derive(Debug)]
pub(crate) struct View {
    pub items: Vec<Item>,
    pub arrows: Vec<Arrow>,
    /// Whether ops were put together.
    pub coarse: bool,
}

/// What ops are put into one box: all with an equal key.
type Key = (Cluster, String, Option<usize>);

struct Maker<'a> {
    plan: &'a Plan,
    graph: &'a Graph,
    /// Nodes that have boxes.
    drawn: Vec<Node>,
}

impl View {
    pub fn new(plan: &Plan, graph: &Graph) -> View {
        let drawn = graph.nodes().filter(|node| is_drawn(graph, *node));
        let maker = Maker {
            plan,
            graph,
            drawn: drawn.collect(),
        };
        let deepest = maker.drawn.iter().map(|node| maker.depth(*node)).max();
        let depths = (0..=deepest.unwrap_or(0)).rev().map(Some);
        // Every op by itself, else by module, ever more coarsely.
        let keys = std::iter::once(None).chain(depths);
        let mut made = Vec::new();
        let mut coarse = false;
        for depth in keys {
            made = maker.keys(depth);
            coarse = depth.is_some();
            if made.iter().collect::<BTreeSet<_>>().len() <= MOST {
                break;
            }
        }
        maker.view(&made, coarse)
    }
}

fn is_drawn(graph: &Graph, node: Node) -> bool {
    !matches!(graph.op_name(node), STATE | CONSTANT) && !is_number(graph, node)
}

/// The step's number and coefficients are scalars that nearly everything reads.
fn is_number(graph: &Graph, node: Node) -> bool {
    let scalar = || graph.ty(graph.result(node, 0)).rank() == Some(0);
    graph.op_name(node) == INPUT && scalar()
}

impl Maker<'_> {
    fn cluster(&self, node: Node) -> Cluster {
        let mut models = self.graph.models(node);
        let (first, second) = (models.next(), models.next());
        Cluster {
            device: self.graph.device(node),
            model: first.filter(|_| second.is_none()),
        }
    }

    fn path(&self, node: Node) -> &str {
        let table = self.graph.provenance();
        let first = table.set(self.graph.provenance_id(node)).first();
        first.map_or("", |origin| table.path(origin.path))
    }

    fn depth(&self, node: Node) -> usize {
        match self.path(node) {
            "" => 0,
            path => path.split('.').count(),
        }
    }

    /// For each drawn node the key of its box; without a depth each has its own.
    fn keys(&self, depth: Option<usize>) -> Vec<Key> {
        let key = |node: &Node| {
            let alone = depth.is_none() || self.graph.op_name(*node) == INPUT;
            let path = self.path(*node);
            let path: Vec<&str> = match depth {
                Some(depth) => path.split('.').take(depth).collect(),
                None => vec![path],
            };
            let index = alone.then(|| node.index());
            (self.cluster(*node), path.join("."), index)
        };
        self.drawn.iter().map(key).collect()
    }

    fn view(&self, keys: &[Key], coarse: bool) -> View {
        let mut places: BTreeMap<&Key, usize> = BTreeMap::new();
        let mut members: Vec<(&Key, Vec<Node>)> = Vec::new();
        let mut of_node: Vec<Option<usize>> = vec![None; self.graph.len()];
        for (node, key) in self.drawn.iter().zip(keys) {
            let place = *places.entry(key).or_insert_with(|| {
                members.push((key, Vec::new()));
                members.len() - 1
            });
            members[place].1.push(*node);
            of_node[node.index()] = Some(place);
        }
        let mut items: Vec<Item> = members
            .iter()
            .map(|(key, nodes)| self.item(key, nodes))
            .collect();
        let mut arrows: BTreeMap<(usize, usize), String> = BTreeMap::new();
        let mut arrow = |value: Value, to: usize| {
            let from = of_node[self.graph.def(value).index()];
            if let Some(from) = from.filter(|from| *from != to) {
                let ty = || self.graph.ty(value).to_string();
                arrows.entry((from, to)).or_insert_with(ty);
            }
        };
        for node in &self.drawn {
            let to = of_node[node.index()].expect("drawn nodes have boxes");
            for value in self.graph.operands(*node) {
                arrow(*value, to);
            }
        }
        let told = |key: &OutputKey| !matches!(key, OutputKey::Update(_));
        for output in self.graph.outputs().iter().filter(|o| told(&o.key)) {
            let node = self.graph.def(output.value);
            let (Some(model), true) = (output.key.model(), is_drawn(self.graph, node)) else {
                continue;
            };
            arrow(output.value, items.len());
            items.push(Item {
                kind: Kind::Output,
                label: match &output.key {
                    OutputKey::Result(_, name) | OutputKey::Metric(_, name) => name.to_string(),
                    OutputKey::Loss(_) => "loss".to_owned(),
                    OutputKey::Update(_) => continue,
                },
                notes: vec![self.graph.ty(output.value).to_string()],
                lines: vec![format!("{} = {}", spell(&output.key), output.value)],
                cluster: Cluster {
                    device: self.graph.device(node),
                    model: Some(model),
                },
                models: 1,
            });
        }
        let arrows = arrows.into_iter();
        let arrows = arrows.map(|((from, to), ty)| Arrow { from, to, ty });
        View {
            items,
            arrows: arrows.collect(),
            coarse,
        }
    }

    fn item(&self, key: &Key, nodes: &[Node]) -> Item {
        let graph = self.graph;
        let first = nodes[0];
        let input = graph.op_name(first) == INPUT;
        let (kind, label) = match nodes {
            [node] if input => {
                let name = graph.attrs(*node).str("name");
                (Kind::Input, name.map_or("input", |name| name).to_owned())
            }
            [node] => (Kind::Op, graph.op_name(*node).to_owned()),
            _ if key.1.is_empty() => (Kind::Group, format!("{} ops", nodes.len())),
            _ => (Kind::Group, key.1.clone()),
        };
        let mut notes = Vec::new();
        match kind {
            Kind::Group if !key.1.is_empty() => notes.push(format!("{} ops", nodes.len())),
            Kind::Op if !self.path(first).is_empty() => notes.push(self.path(first).to_owned()),
            _ => {}
        }
        if matches!(kind, Kind::Op | Kind::Input) && graph.result_count(first) > 0 {
            notes.push(graph.ty(graph.result(first, 0)).to_string());
        }
        notes.extend(self.parameters(nodes));
        let models = graph.models(first).count();
        if models > 1 {
            notes.push(format!("shared by {models} models"));
        }
        let mut lines: Vec<String> = nodes.iter().take(LINES).map(|n| self.line(*n)).collect();
        if nodes.len() > LINES {
            lines.push(format!("and {} more", nodes.len() - LINES));
        }
        Item {
            kind,
            label,
            notes,
            lines,
            cluster: key.0,
            models,
        }
    }

    /// What is trained, updated and frozen in a box.
    fn parameters(&self, nodes: &[Node]) -> Option<String> {
        let graph = self.graph;
        let mut seen = BTreeSet::new();
        let mut sums: BTreeMap<StateKind, u64> = BTreeMap::new();
        for value in nodes.iter().flat_map(|node| graph.operands(*node)) {
            let state = graph.attrs(graph.def(*value)).state("of");
            let Some(state) = state.filter(|state| seen.insert(*state)) else {
                continue;
            };
            let entry = self.plan.state(state);
            *sums.entry(entry.kind).or_default() += entry.ty.elements().unwrap_or(0);
        }
        let told: Vec<String> = sums
            .iter()
            .map(|(kind, sum)| format!("{} {}", short(*sum), kind.name()))
            .collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// A node as one line, states by their paths.
    fn line(&self, node: Node) -> String {
        let graph = self.graph;
        let operands: Vec<String> = graph
            .operands(node)
            .iter()
            .map(|value| {
                let def = graph.def(*value);
                let state = graph.op_name(def) == STATE && !self.path(def).is_empty();
                match state {
                    true => self.path(def).to_owned(),
                    false => value.to_string(),
                }
            })
            .collect();
        let results: Vec<String> = graph
            .results(node)
            .map(|value| format!("{value}: {}", graph.ty(value)))
            .collect();
        let name = graph.op_name(node);
        format!("{} = {name} {}", results.join(", "), operands.join(", "))
    }
}

fn spell(key: &OutputKey) -> String {
    match key {
        OutputKey::Result(model, name) => format!("result {model} {name:?}"),
        OutputKey::Loss(model) => format!("loss {model}"),
        OutputKey::Metric(model, name) => format!("metric {model} {name:?}"),
        OutputKey::Update(state) => format!("update {state}"),
    }
}

/// A number with three digits or so.
fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1}k", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        _ => format!("{:.1}G", number as f64 / 1e9),
    }
}
