//! The file as it is written: graphs, nodes and edges by their names, each with its place.

use std::collections::BTreeMap;
use std::ops::Range;

use syncarp_diag::{Located, Source};
use syncarp_sweep::Spanned;

use super::json::{Json, Object, get, read, shown};
use super::note::{Note, NoteKind, Repeated};

/// The pseudo node that gives a graph's inputs.
pub(crate) const INPUTS: &str = "_inputs";
/// The pseudo node that takes a graph's outputs.
pub(crate) const OUTPUTS: &str = "_outputs";
/// The root graph, where the file does not name it.
const ROOT: &str = "_model";
/// Keys beside the graphs that have no part in the computation.
const METADATA: [&str; 9] = [
    "framework",
    "model_id",
    "status",
    "metrics",
    "_evaluator",
    "_training_config",
    "_sample",
    "_placement",
    "_debug",
];
/// What stands for choices that are still open.
const MUTATORS: &str = "_mutators";

/// A file of graphs.
#[derive(Debug)]
pub(crate) struct Document {
    pub source: Source,
    /// In the file's order.
    pub graphs: Vec<GraphDef>,
    /// The graph that is the model.
    pub root: usize,
    /// What the file says beyond the graphs.
    pub notes: Vec<Note>,
}

/// A graph: the model, or a cell that models are made of.
#[derive(Debug)]
pub(crate) struct GraphDef {
    pub name: Spanned<String>,
    /// Names of the inputs, where they are written.
    pub inputs: Option<Vec<Spanned<String>>>,
    pub nodes: Vec<NodeDef>,
    pub edges: Vec<EdgeDef>,
}

/// A node: an operation and what it is called.
#[derive(Debug)]
pub(crate) struct NodeDef {
    pub name: Spanned<String>,
    /// The operation's type, such as `aten::relu`.
    pub kind: Spanned<String>,
    /// The graph that it stands for, where it is a cell.
    pub cell: Option<Spanned<String>>,
    pub parameters: Spanned<Object>,
    /// What it is called in the Python module.
    pub python_name: Option<String>,
}

/// A wire from a node to a node.
#[derive(Debug)]
pub(crate) struct EdgeDef {
    pub head: EndDef,
    pub tail: EndDef,
}

/// One end of a wire.
#[derive(Debug)]
pub(crate) struct EndDef {
    pub node: Spanned<String>,
    /// Which of the node's values; none for its whole output, or its only input.
    pub slot: Option<u32>,
    pub span: Range<usize>,
}

impl Document {
    /// Reads a file's text.
    ///
    /// # Errors
    /// A mistake in it, with its place.
    pub fn parse(source: Source) -> Result<Self, Located> {
        let whole = read(&source)?;
        let mut reader = Reader {
            source: &source,
            fields: Repeated::default(),
            notes: Vec::new(),
        };
        let (graphs, root) = reader.file(whole)?;
        let Reader {
            fields, mut notes, ..
        } = reader;
        notes.extend(fields.finish());
        Ok(Document {
            source,
            graphs,
            root,
            notes,
        })
    }

    /// Graphs by their names.
    pub fn by_name(&self) -> BTreeMap<&str, usize> {
        let named = self.graphs.iter().enumerate();
        named
            .map(|(place, graph)| (&*graph.name.value, place))
            .collect()
    }
}

struct Reader<'s> {
    source: &'s Source,
    /// Fields that are not known, each told once.
    fields: Repeated,
    notes: Vec<Note>,
}

impl Reader<'_> {
    fn error(&self, span: &Range<usize>, message: impl Into<String>) -> Located {
        // The start says enough: what is wrong may be thousands of lines long.
        let end = span.end.min(span.start + 80);
        Located::new(self.source, span.start..end, message)
    }

    fn wrong(&self, value: &Spanned<Json>, what: &str, wanted: &str) -> Located {
        let message = format!("{what} is {}; expected {wanted}", value.value.kind());
        self.error(&value.span, message)
    }

    fn object(&self, value: Spanned<Json>, what: &str) -> Result<Spanned<Object>, Located> {
        match value.value {
            Json::Object(object) => Ok(Spanned::new(object, value.span)),
            _ => Err(self.wrong(&value, what, "an object")),
        }
    }

    fn string(&self, value: &Spanned<Json>, what: &str) -> Result<Spanned<String>, Located> {
        match &value.value {
            Json::Str(text) => Ok(Spanned::new(text.clone(), value.span.clone())),
            _ => Err(self.wrong(value, what, "a string")),
        }
    }

    fn note(&mut self, kind: NoteKind, span: &Range<usize>, message: String) {
        let place = self.error(span, message);
        self.notes.push(Note { kind, place });
    }

    /// The graphs and which of them is the root.
    fn file(&mut self, whole: Spanned<Json>) -> Result<(Vec<GraphDef>, usize), Located> {
        let whole = self.object(whole, "the file")?;
        let wrapped = get(&whole.value, "graphs").is_some();
        let mut root = None;
        let mut graphs = Vec::new();
        for (name, value) in whole.value {
            match &*name.value {
                "graphs" => {
                    for (name, value) in self.object(value, "`graphs`")?.value {
                        graphs.push(self.graph(name, value)?);
                    }
                }
                "root" if wrapped => root = Some(self.string(&value, "`root`")?),
                _ if !wrapped && self.is_graph(&name, &value)? => {
                    graphs.push(self.graph(name, value)?);
                }
                _ => self.beside(&name, &value),
            }
        }
        let wanted = root.as_ref().map_or(ROOT, |name| &name.value);
        let found = graphs.iter().position(|graph| graph.name.value == *wanted);
        let place = found.ok_or_else(|| {
            let span = root.as_ref().map_or(&whole.span, |name| &name.span);
            let error = self.error(span, format!("there is no graph {}", shown(wanted)));
            let names = graphs.iter().map(|graph| shown(&graph.name.value));
            let names: Vec<String> = names.take(20).collect();
            match names.is_empty() {
                true => error.with_help("the file holds no graph at all"),
                false => error.with_help(format!("graphs: {}", names.join(", "))),
            }
        })?;
        Ok((graphs, place))
    }

    /// Whether a key of a file without `graphs` names a graph.
    fn is_graph(&self, name: &Spanned<String>, value: &Spanned<Json>) -> Result<bool, Located> {
        let known = METADATA.contains(&&*name.value) || name.value == MUTATORS;
        match &value.value {
            Json::Object(object) if get(object, "nodes").is_some() => Ok(true),
            Json::Object(_) if !known && (name.value == ROOT || !name.value.starts_with('_')) => {
                let message = format!("the graph {} has no `nodes`", shown(&name.value));
                Err(self.error(&name.span, message))
            }
            _ if name.value == ROOT => Err(self.wrong(value, "the graph `_model`", "an object")),
            _ => Ok(false),
        }
    }

    /// Something that is no graph.
    fn beside(&mut self, name: &Spanned<String>, value: &Spanned<Json>) {
        let empty = value.value.is_empty();
        if name.value == MUTATORS && !empty {
            let message = "`_mutators` is not empty: this is a space of models with choices still \
                           open, read as if they were none"
                .to_owned();
            self.note(NoteKind::Unresolved, &name.span, message);
        } else if !empty {
            let known = METADATA.contains(&&*name.value);
            let known = if known {
                "has no part in the computation"
            } else {
                "is not known"
            };
            let message = format!("{} {known} and is ignored", shown(&name.value));
            self.note(NoteKind::Ignored, &name.span, message);
        }
    }

    /// Notes a field that is not known, unless it says nothing.
    fn unknown(&mut self, of: &str, name: &Spanned<String>, value: &Spanned<Json>) {
        if !value.value.is_empty() {
            let message = format!(
                "{} of {of} has no part in the computation",
                shown(&name.value)
            );
            let place = self.error(&name.span, message);
            self.fields.add(NoteKind::Ignored, place);
        }
    }

    fn graph(&mut self, name: Spanned<String>, value: Spanned<Json>) -> Result<GraphDef, Located> {
        let whole = self.object(value, &format!("the graph {}", shown(&name.value)))?;
        let mut graph = GraphDef {
            name,
            inputs: None,
            nodes: Vec::new(),
            edges: Vec::new(),
        };
        let mut has_nodes = false;
        for (key, value) in whole.value {
            match &*key.value {
                "inputs" => graph.inputs = self.names(&value, "`inputs`")?,
                // Results are named by their order; the names here are of Python's values.
                "outputs" => drop(self.names(&value, "`outputs`")?),
                "nodes" => {
                    has_nodes = true;
                    for (name, value) in self.object(value, "`nodes`")?.value {
                        graph.nodes.push(self.node(name, value)?);
                    }
                }
                "edges" => {
                    let Json::Array(edges) = value.value else {
                        return Err(self.wrong(&value, "`edges`", "an array"));
                    };
                    for edge in edges {
                        graph.edges.push(self.edge(edge)?);
                    }
                }
                _ => self.unknown("a graph", &key, &value),
            }
        }
        match has_nodes {
            true => Ok(graph),
            false => {
                let message = format!("the graph {} has no `nodes`", shown(&graph.name.value));
                Err(self.error(&graph.name.span, message))
            }
        }
    }

    fn names(
        &self,
        value: &Spanned<Json>,
        what: &str,
    ) -> Result<Option<Vec<Spanned<String>>>, Located> {
        match &value.value {
            Json::Null => Ok(None),
            Json::Array(items) => {
                let names: Result<Vec<_>, _> = items
                    .iter()
                    .map(|item| self.string(item, &format!("a name in {what}")))
                    .collect();
                names.map(Some)
            }
            _ => Err(self.wrong(value, what, "an array of names")),
        }
    }

    fn node(&mut self, name: Spanned<String>, value: Spanned<Json>) -> Result<NodeDef, Located> {
        let what = format!("the node {}", shown(&name.value));
        if [INPUTS, OUTPUTS].contains(&&*name.value) {
            let message = format!("{what} has the name of a pseudo node");
            return Err(self.error(&name.span, message));
        }
        let mut operation = None;
        let mut python_name = None;
        for (key, value) in self.object(value, &what)?.value {
            match (&*key.value, &value.value) {
                ("operation", _) => operation = Some(self.object(value, "`operation`")?),
                ("python_name" | "label", Json::Null) => {}
                ("python_name", _) => {
                    python_name = Some(self.string(&value, "`python_name`")?.value);
                }
                ("label", _) => drop(self.string(&value, "`label`")?),
                _ => self.unknown("a node", &key, &value),
            }
        }
        let missing = |what: &str| {
            self.error(
                &name.span,
                format!("the node {} has no {what}", shown(&name.value)),
            )
        };
        let operation = operation.ok_or_else(|| missing("`operation`"))?;
        let (mut kind, mut cell) = (None, None);
        let mut parameters = Spanned::new(Object::new(), name.span.clone());
        for (key, value) in operation.value {
            match (&*key.value, &value.value) {
                ("type", _) => kind = Some(self.string(&value, "`type`")?),
                ("parameters" | "cell_name", Json::Null) => {}
                ("cell_name", _) => cell = Some(self.string(&value, "`cell_name`")?),
                ("parameters", _) => parameters = self.object(value, "`parameters`")?,
                _ => self.unknown("an operation", &key, &value),
            }
        }
        let missing = || {
            let message = format!("the operation of {} has no `type`", shown(&name.value));
            self.error(&operation.span, message)
        };
        Ok(NodeDef {
            kind: kind.ok_or_else(missing)?,
            cell,
            parameters,
            python_name,
            name,
        })
    }

    fn edge(&mut self, value: Spanned<Json>) -> Result<EdgeDef, Located> {
        let whole = self.object(value, "an edge")?;
        let (mut head, mut tail) = (None, None);
        for (key, value) in whole.value {
            match &*key.value {
                "head" => head = Some(self.end(&value)?),
                "tail" => tail = Some(self.end(&value)?),
                _ => self.unknown("an edge", &key, &value),
            }
        }
        let missing = |which: &str| self.error(&whole.span, format!("an edge without `{which}`"));
        Ok(EdgeDef {
            head: head.ok_or_else(|| missing("head"))?,
            tail: tail.ok_or_else(|| missing("tail"))?,
        })
    }

    fn end(&self, value: &Spanned<Json>) -> Result<EndDef, Located> {
        let wrong = |at: &Spanned<Json>, what: &str| {
            self.wrong(
                at,
                what,
                "[node, slot], the slot a whole number of at least 0 or null",
            )
        };
        let Json::Array(items) = &value.value else {
            return Err(wrong(value, "an end of an edge"));
        };
        let [node, slot] = &items[..] else {
            let message = format!(
                "an end of an edge has {} items; expected [node, slot]",
                items.len()
            );
            return Err(self.error(&value.span, message));
        };
        let Json::Str(name) = &node.value else {
            return Err(wrong(node, "the node of an edge"));
        };
        let slot = match slot.value {
            Json::Null => None,
            Json::Int(number) => match u32::try_from(number) {
                Ok(number) => Some(number),
                Err(_) => return Err(self.error(&slot.span, format!("there is no slot {number}"))),
            },
            _ => return Err(wrong(slot, "the slot of an edge")),
        };
        Ok(EndDef {
            node: Spanned::new(name.clone(), node.span.clone()),
            slot,
            span: value.span.clone(),
        })
    }
}
