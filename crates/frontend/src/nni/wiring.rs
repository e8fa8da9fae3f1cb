//! From names to places: which node takes what from where, in which order nodes come, and which
//! graph a cell is. After this, nothing about names can be wrong any more.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use syncarp_diag::Located;

use super::document::{Document, EndDef, GraphDef, INPUTS, NodeDef, OUTPUTS};
use super::json::{Json, get, shown};

/// The most nodes that a model has once its cells are inlined.
const MAX_NODES: u64 = 1 << 18;
/// How deep cells may nest.
const MAX_DEPTH: usize = 64;
/// The most inputs of a graph, and outputs of a node, that edges tell of.
pub(crate) const MAX_SLOTS: u32 = 1024;

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The node; none for the graph's inputs.
    pub node: Option<usize>,
    /// Which of its values; none for all that it gives.
    pub slot: Option<u32>,
    /// Where that is written.
    pub span: Range<usize>,
}

/// An edge at the end where it arrives.
#[derive(Clone)]
struct Tail {
    slot: Option<u32>,
    span: Range<usize>,
    head: Head,
}

/// A graph whose edges are followed.
#[derive(Debug)]
pub(crate) struct Wired {
    /// Nodes, each after those that it takes from; else in the file's order.
    pub order: Vec<usize>,
    /// For each node, where its operands come from, in the order of slots.
    pub operands: Vec<Vec<Head>>,
    /// Where the results come from.
    pub outputs: Vec<Head>,
    /// The number of inputs.
    pub inputs: usize,
    /// For each node, the graph that it stands for.
    pub cells: Vec<Option<usize>>,
    /// For each node, the one whose module it applies again.
    pub shared: Vec<Option<usize>>,
    /// For each node, how many of its values edges tell of, where they tell them apart.
    pub results: Vec<u32>,
}

/// Follows all edges of a document, graph by graph.
///
/// # Errors
/// A mistake, with its place.
pub(crate) fn wire(document: &Document) -> Result<Vec<Wired>, Located> {
    let graphs = document.by_name();
    let wired = document.graphs.iter().map(|graph| {
        let names = graph.nodes.iter().enumerate();
        let names = names
            .map(|(place, node)| (&*node.name.value, place))
            .collect();
        Wiring {
            document,
            graph,
            names,
        }
        .graph(&graphs)
    });
    let wired = wired.collect::<Result<Vec<_>, _>>()?;
    check_cells(document, &wired)?;
    Ok(wired)
}

struct Wiring<'d> {
    document: &'d Document,
    graph: &'d GraphDef,
    names: BTreeMap<&'d str, usize>,
}

impl Wiring<'_> {
    fn error(&self, span: &Range<usize>, message: impl Into<String>) -> Located {
        Located::new(&self.document.source, span.clone(), message)
    }

    fn graph(&self, graphs: &BTreeMap<&str, usize>) -> Result<Wired, Located> {
        let nodes = &self.graph.nodes;
        let mut tails: Vec<Vec<Tail>> = vec![Vec::new(); nodes.len()];
        let mut outputs = Vec::new();
        let mut results = vec![0; nodes.len()];
        let mut inputs = 0;
        for edge in &self.graph.edges {
            let head = self.end(&edge.head, INPUTS, OUTPUTS)?;
            let count = match head {
                Some(node) => &mut results[node],
                None => &mut inputs,
            };
            let slots = edge.head.slot.map_or(1, |slot| slot.saturating_add(1));
            if slots > MAX_SLOTS {
                let message = format!("a head has at most {MAX_SLOTS} slots");
                return Err(self.error(&edge.head.span, message));
            }
            if head.is_none() || edge.head.slot.is_some() {
                *count = slots.max(*count);
            }
            let head = Head {
                node: head,
                slot: edge.head.slot,
                span: edge.head.span.clone(),
            };
            let tail = Tail {
                slot: edge.tail.slot,
                span: edge.tail.span.clone(),
                head,
            };
            match self.end(&edge.tail, OUTPUTS, INPUTS)? {
                Some(node) => tails[node].push(tail),
                None => outputs.push(tail),
            }
        }
        let operands = tails
            .into_iter()
            .zip(nodes)
            .map(|(tails, node)| self.in_order(tails, &node.name.value, &node.name.span));
        let operands = operands.collect::<Result<Vec<_>, _>>()?;
        let outputs = self.in_order(outputs, OUTPUTS, &self.graph.name.span)?;
        let shared = nodes.iter().map(|node| self.reference(node));
        let shared = shared.collect::<Result<Vec<_>, _>>()?;
        let cells = nodes.iter().map(|node| self.cell(node, graphs));
        Ok(Wired {
            order: self.order(&operands, &shared)?,
            cells: cells.collect::<Result<_, _>>()?,
            inputs: self.input_count(inputs as usize)?,
            operands,
            outputs,
            shared,
            results,
        })
    }

    /// The node at an end of an edge; none where it is the pseudo node that may be there.
    fn end(&self, end: &EndDef, pseudo: &str, not: &str) -> Result<Option<usize>, Located> {
        let name = &*end.node.value;
        if name == pseudo {
            return Ok(None);
        }
        if let Some(node) = self.names.get(name) {
            return Ok(Some(*node));
        }
        if name == not {
            let side = if not == OUTPUTS { "head" } else { "tail" };
            return Err(self.error(&end.node.span, format!("`{not}` cannot be a {side}")));
        }
        let graph = shown(&self.graph.name.value);
        let message = format!("the graph {graph} has no node {}", shown(name));
        let error = self.error(&end.node.span, message);
        let near = match name.len() <= 64 {
            true => syncarp_ir::nearest(name, self.names.keys().copied()),
            false => None,
        };
        Err(match near {
            Some(near) => error.with_help(format!("did you mean {}?", shown(near))),
            None => error,
        })
    }

    /// What arrives at a node, in the order of slots: a single one, or as many as there are slots.
    fn in_order(
        &self,
        mut tails: Vec<Tail>,
        name: &str,
        at: &Range<usize>,
    ) -> Result<Vec<Head>, Located> {
        let heads = |tails: Vec<Tail>| Ok(tails.into_iter().map(|tail| tail.head).collect());
        if let [Tail { slot: None, .. }] = tails[..] {
            return heads(tails);
        }
        tails.sort_by_key(|tail| tail.slot);
        for (place, tail) in tails.iter().enumerate() {
            let message = match tail.slot {
                Some(slot) if slot as usize == place => continue,
                Some(slot) if (slot as usize) < place => {
                    format!("slot {slot} of {} is filled twice", shown(name))
                }
                Some(_) => {
                    let message = format!("nothing goes to slot {place} of {}", shown(name));
                    return Err(self.error(at, message));
                }
                None if tails.get(place + 1).is_some_and(|tail| tail.slot.is_some()) => {
                    format!(
                        "an edge goes to all of {}, others to its slots",
                        shown(name)
                    )
                }
                None => format!("two edges go to all of {}", shown(name)),
            };
            return Err(self.error(&tail.span, message));
        }
        heads(tails)
    }

    /// The number of inputs: as written, or as many as edges tell of.
    fn input_count(&self, used: usize) -> Result<usize, Located> {
        let Some(names) = &self.graph.inputs else {
            return Ok(used);
        };
        if used > names.len() {
            let beyond = |end: &&EndDef| {
                let slot = end.slot.unwrap_or(0);
                end.node.value == INPUTS && slot as usize >= names.len()
            };
            let ends = self.graph.edges.iter().map(|edge| &edge.head);
            let span = ends
                .clone()
                .find(beyond)
                .map_or(&self.graph.name.span, |end| &end.span);
            let message = format!("the graph has {} inputs, as `inputs` says", names.len());
            return Err(self.error(span, message));
        }
        let mut seen = std::collections::BTreeSet::new();
        match names.iter().find(|name| !seen.insert(&*name.value)) {
            Some(name) => Err(self.error(&name.span, "two inputs have one name")),
            None => Ok(names.len()),
        }
    }

    /// The node whose module another applies again.
    fn reference(&self, node: &NodeDef) -> Result<Option<usize>, Located> {
        let mut node = node;
        let mut steps = 0;
        while node.kind.value == "shared" {
            let reference = get(&node.parameters.value, "reference");
            let Some(reference) = reference else {
                return Err(self.error(&node.kind.span, "`shared` without a `reference`"));
            };
            let Json::Str(name) = &reference.value else {
                return Err(self.error(&reference.span, "`reference` is the name of a node"));
            };
            let Some(place) = self.names.get(&**name) else {
                let message = format!("the graph has no node {} to be shared", shown(name));
                return Err(self.error(&reference.span, message));
            };
            node = &self.graph.nodes[*place];
            steps += 1;
            if node.kind.value != "shared" {
                return Ok(Some(*place));
            }
            if steps > 16 {
                let message = "`reference` leads from one shared node to the next";
                return Err(self.error(&reference.span, message));
            }
        }
        Ok(None)
    }

    fn cell(
        &self,
        node: &NodeDef,
        graphs: &BTreeMap<&str, usize>,
    ) -> Result<Option<usize>, Located> {
        if node.kind.value != "_cell" {
            return Ok(None);
        }
        let Some(name) = &node.cell else {
            return Err(self.error(&node.kind.span, "a cell without a `cell_name`"));
        };
        let found = graphs.get(&*name.value);
        found.copied().map(Some).ok_or_else(|| {
            let message = format!("there is no graph {} for this cell", shown(&name.value));
            self.error(&name.span, message)
        })
    }

    /// Nodes in an order in which each comes after those that it takes from, and after the one whose
    /// module it applies again.
    fn order(
        &self,
        operands: &[Vec<Head>],
        shared: &[Option<usize>],
    ) -> Result<Vec<usize>, Located> {
        let count = operands.len();
        let before = |node: usize| {
            let heads = operands[node].iter().filter_map(|head| head.node);
            heads.chain(shared[node])
        };
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut waiting = vec![0usize; count];
        for (node, waits) in waiting.iter_mut().enumerate() {
            for head in before(node) {
                after[head].push(node);
                *waits += 1;
            }
        }
        let ready = (0..count).filter(|node| waiting[*node] == 0).map(Reverse);
        let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
        let mut order = Vec::with_capacity(count);
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for next in &after[node] {
                waiting[*next] -= 1;
                if waiting[*next] == 0 {
                    ready.push(Reverse(*next));
                }
            }
        }
        if order.len() == count {
            return Ok(order);
        }
        // Going back from any node that is left, one comes round a cycle.
        let left = |node: &usize| waiting[*node] > 0;
        let mut node = (0..count).find(left).unwrap_or(0);
        let mut seen = vec![false; count];
        while !std::mem::replace(&mut seen[node], true) {
            node = before(node).find(left).unwrap_or(node);
        }
        let node = &self.graph.nodes[node].name;
        let message = format!(
            "the node {} takes from itself, round a cycle",
            shown(&node.value)
        );
        Err(self.error(&node.span, message))
    }
}

/// Checks that no cell holds itself, and that the model has not too many nodes once all are inlined.
fn check_cells(document: &Document, wired: &[Wired]) -> Result<(), Located> {
    let error = |graph: usize, node: usize, message: String| {
        let node = &document.graphs[graph].nodes[node];
        let span = node
            .cell
            .as_ref()
            .map_or(&node.name.span, |name| &name.span);
        Err(Located::new(&document.source, span.clone(), message))
    };
    // How many nodes a graph has when inlined, and how deep it nests; none while it is on the way.
    let mut sizes: Vec<Option<(u64, usize)>> = vec![None; wired.len()];
    let mut open = vec![false; wired.len()];
    let mut stack = vec![(document.root, 0)];
    open[document.root] = true;
    while let Some((graph, node)) = stack.last_mut() {
        let (graph, place) = (*graph, *node);
        let Some(cell) = wired[graph].cells.get(place) else {
            let inlined = wired[graph].cells.iter().zip(&wired[graph].shared);
            let cells = inlined.filter_map(|(cell, shared)| match shared {
                Some(node) => wired[graph].cells[*node],
                None => *cell,
            });
            let (mut count, mut depth) = (wired[graph].cells.len() as u64, 0);
            for (size, below) in cells.filter_map(|cell| sizes[cell]) {
                count = count.saturating_add(size);
                depth = depth.max(below + 1);
            }
            sizes[graph] = Some((count, depth));
            open[graph] = false;
            stack.pop();
            if let Some((graph, node)) = stack.last_mut() {
                *node += 1;
                if count > MAX_NODES {
                    let message = format!("this cell is {count} nodes, more than {MAX_NODES}");
                    return error(*graph, *node - 1, message);
                }
            } else if count > MAX_NODES {
                let message = format!("the model is {count} nodes, more than {MAX_NODES}");
                let span = document.graphs[graph].name.span.clone();
                return Err(Located::new(&document.source, span, message));
            }
            continue;
        };
        match cell {
            Some(cell) if open[*cell] => {
                let name = shown(&document.graphs[*cell].name.value);
                return error(graph, place, format!("the cell {name} holds itself"));
            }
            Some(cell) if sizes[*cell].is_none() => {
                if stack.len() > MAX_DEPTH {
                    return error(
                        graph,
                        place,
                        format!("cells nest more than {MAX_DEPTH} deep"),
                    );
                }
                open[*cell] = true;
                stack.push((*cell, 0));
            }
            _ => {
                if let Some((_, node)) = stack.last_mut() {
                    *node += 1;
                }
            }
        }
    }
    // A cell reached by a short way first may lie deep by another.
    match sizes[document.root] {
        Some((_, depth)) if depth > MAX_DEPTH => {
            let span = document.graphs[document.root].name.span.clone();
            let message = format!("cells nest more than {MAX_DEPTH} deep");
            Err(Located::new(&document.source, span, message))
        }
        _ => Ok(()),
    }
}
