//! Prints a plan.

use std::convert::Infallible;
use std::fmt::Write;
use std::io;

use smallvec::SmallVec;

use super::lexer::quote;
use crate::attr::{Attr, Attrs};
use crate::entity::{Model, Node, Value};
use crate::graph::{Graph, Output, OutputKey};
use crate::plan::{Initial, Plan};
use crate::provenance::Role;
use crate::stream::{Distribution, StreamKey};

/// A plan as text.
pub fn print(plan: &Plan) -> String {
    let mut out = String::new();
    let written: Result<(), Infallible> = write_pieces(plan, &mut out, |_| Ok(()));
    match written {
        Ok(()) => out,
    }
}

/// Writes a plan as text, piece by piece: the text is never there as a whole.
///
/// # Errors
/// What the writer says.
pub fn write(plan: &Plan, to: &mut dyn io::Write) -> io::Result<()> {
    let mut out = String::new();
    let flush = |out: &mut String| -> io::Result<()> {
        if out.len() >= PIECE {
            to.write_all(out.as_bytes())?;
            out.clear();
        }
        Ok(())
    };
    write_pieces(plan, &mut out, flush)?;
    to.write_all(out.as_bytes())
}

/// How many bytes are written at once.
const PIECE: usize = 1 << 16;

/// Prints into a buffer, which may be emptied after each line.
fn write_pieces<E>(
    plan: &Plan,
    out: &mut String,
    mut line: impl FnMut(&mut String) -> Result<(), E>,
) -> Result<(), E> {
    out.push_str("syncarp 1\n");
    print_models(plan, out, &mut line)?;
    for (name, graph) in &plan.graphs {
        out.push_str("\ngraph ");
        quote(name, out);
        out.push_str(" {\n");
        let mut recurring = Recurring::default();
        for node in graph.nodes() {
            print_body(graph, node, &plain, &mut recurring, out);
            print_tail(graph, node, out);
            line(out)?;
        }
        for output in graph.outputs() {
            print_output(output, out);
            line(out)?;
        }
        out.push_str("}\n");
    }
    Ok(())
}

fn print_output(output: &Output, out: &mut String) {
    out.push_str("  ");
    print_key(&output.key, out);
    let _ = writeln!(out, " = {}", output.value);
}

/// An output's key.
pub(crate) fn print_key(key: &OutputKey, out: &mut String) {
    match key {
        OutputKey::Result(m, name) => {
            let _ = write!(out, "result {m} ");
            quote(name, out);
        }
        OutputKey::Loss(m) => {
            let _ = write!(out, "loss {m}");
        }
        OutputKey::Metric(m, name) => {
            let _ = write!(out, "metric {m} ");
            quote(name, out);
        }
        OutputKey::Update(s) => {
            let _ = write!(out, "update {s}");
        }
    }
}

/// Attributes and types as text, of those that most nodes have.
#[derive(Default)]
struct Recurring {
    attrs: Vec<Option<Box<str>>>,
    types: Vec<Option<Box<str>>>,
}

impl Recurring {
    /// How many are kept of each: ids are handed out in order of first appearance.
    const MOST: usize = 4096;

    /// Prints what an index stands for, from memory where it was printed before.
    fn print(
        kept: &mut Vec<Option<Box<str>>>,
        index: usize,
        out: &mut String,
        print: impl FnOnce(&mut String),
    ) {
        if index >= Self::MOST {
            return print(out);
        }
        if kept.len() <= index {
            kept.resize(index + 1, None);
        }
        let slot = &mut kept[index];
        if let Some(text) = slot {
            out.push_str(text);
            return;
        }
        let start = out.len();
        print(out);
        *slot = Some(out[start..].into());
    }
}

/// Writes a number in decimal.
fn print_number(number: usize, out: &mut String) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|d| char::from(*d)));
}

/// What a value is called in the text form.
pub(crate) fn plain(value: Value, out: &mut String) {
    out.push_str(Value::PREFIX);
    print_number(value.index(), out);
}

fn print_models<E>(
    plan: &Plan,
    out: &mut String,
    line: &mut impl FnMut(&mut String) -> Result<(), E>,
) -> Result<(), E> {
    let mut declared = vec![false; plan.states.len()];
    for (index, model) in plan.models.iter().enumerate() {
        let _ = write!(out, "\nmodel m{index} ");
        quote(&model.name, out);
        if let Some(data) = model.data {
            let _ = write!(out, " data {data}");
        }
        if model.states.is_empty() {
            out.push_str(" {}\n");
            continue;
        }
        out.push_str(" {\n");
        for (path, state) in &model.states {
            out.push_str("  ");
            quote(path, out);
            let _ = write!(out, " = {state}");
            if !std::mem::replace(&mut declared[state.index()], true) {
                let entry = plan.state(*state);
                let _ = write!(out, " : {} {} ", entry.ty, entry.kind.name());
                match &entry.initial {
                    Initial::Init(distribution, stream) => {
                        out.push_str("init(");
                        print_distribution(distribution, out);
                        out.push_str(", ");
                        print_stream(stream, out);
                        out.push(')');
                    }
                    Initial::Content(hash) => {
                        out.push_str("content(");
                        quote(&hash.0, out);
                        out.push(')');
                    }
                }
            }
            out.push('\n');
            line(out)?;
        }
        out.push_str("}\n");
    }
    Ok(())
}

/// One node's line, with values named by somebody.
pub(crate) fn print_node(
    graph: &Graph,
    node: Node,
    name: &impl Fn(Value, &mut String),
    out: &mut String,
) {
    print_node_body(graph, node, name, out);
    print_tail(graph, node, out);
}

/// A node without where it runs and comes from, and without the line's end.
pub(crate) fn print_node_body(
    graph: &Graph,
    node: Node,
    name: &impl Fn(Value, &mut String),
    out: &mut String,
) {
    print_body(graph, node, name, &mut Recurring::default(), out);
}

fn print_body(
    graph: &Graph,
    node: Node,
    name: &impl Fn(Value, &mut String),
    recurring: &mut Recurring,
    out: &mut String,
) {
    out.push_str("  ");
    for (i, value) in graph.results(node).enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        name(value, out);
    }
    if graph.result_count(node) > 0 {
        out.push_str(" = ");
    }
    out.push_str(graph.op_name(node));
    for (i, value) in graph.operands(node).iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { " " });
        name(*value, out);
    }
    let attrs = graph.attrs_id(node).index();
    Recurring::print(&mut recurring.attrs, attrs, out, |out| {
        print_attrs(graph.attrs(node), out);
    });
    for (i, value) in graph.results(node).enumerate() {
        out.push_str(if i > 0 { ", " } else { " : " });
        let ty = graph.type_id(value).index();
        Recurring::print(&mut recurring.types, ty, out, |out| {
            let _ = write!(out, "{}", graph.ty(value));
        });
    }
}

/// Where a node runs and comes from, and the line's end.
fn print_tail(graph: &Graph, node: Node, out: &mut String) {
    if let Some(device) = graph.device(node) {
        let _ = write!(out, " on {device}");
    }
    print_provenance(graph, node, out);
    out.push('\n');
}

fn print_attrs(attrs: &Attrs, out: &mut String) {
    if attrs.is_empty() {
        return;
    }
    out.push_str(" {");
    for (i, (name, value)) in attrs.iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        out.push_str(name);
        out.push('=');
        print_attr(value, out);
    }
    out.push('}');
}

fn print_provenance(graph: &Graph, node: Node, out: &mut String) {
    let provenance = graph.provenance();
    let set = provenance.set(graph.provenance_id(node)).iter();
    let mut set: SmallVec<[(Model, &str, Role); 4]> = set
        .map(|o| (o.model, &**provenance.path(o.path), o.role))
        .collect();
    set.sort_unstable();
    for (i, (model, path, role)) in set.into_iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { " @" });
        out.push_str(Model::PREFIX);
        print_number(model.index(), out);
        if !path.is_empty() {
            out.push(' ');
            quote(path, out);
        }
        if role != Role::Forward {
            let _ = write!(out, " ({role})");
        }
    }
}

fn print_float(value: f64, out: &mut String) {
    if value.is_nan() {
        if value.to_bits() == f64::NAN.to_bits() {
            out.push_str("nan");
        } else {
            let _ = write!(out, "nan({})", value.to_bits());
        }
    } else {
        let _ = write!(out, "{value:?}");
    }
}

fn print_list<T>(items: &[T], out: &mut String, mut item: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (i, x) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        item(x, out);
    }
    out.push(']');
}

fn print_stream(stream: &StreamKey, out: &mut String) {
    match stream.seed {
        Some(seed) => {
            let _ = write!(out, "stream({seed}, ");
        }
        None => out.push_str("stream(_, "),
    }
    quote(&stream.path, out);
    let _ = write!(out, ", {})", stream.occurrence);
}

fn print_distribution(distribution: &Distribution, out: &mut String) {
    let (name, numbers): (_, &[f64]) = match distribution {
        Distribution::Constant(a) => ("constant", &[*a]),
        Distribution::Uniform(a, b) => ("uniform", &[*a, *b]),
        Distribution::Normal(a, b) => ("normal", &[*a, *b]),
    };
    out.push_str(name);
    out.push('(');
    for (i, x) in numbers.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        print_float(*x, out);
    }
    out.push(')');
}

fn print_attr(value: &Attr, out: &mut String) {
    match value {
        Attr::Bool(v) => {
            let _ = write!(out, "{v}");
        }
        Attr::Int(v) => {
            let _ = write!(out, "{v}");
        }
        Attr::Float(v) => print_float(*v, out),
        Attr::Str(v) => quote(v, out),
        Attr::DType(v) => {
            let _ = write!(out, "{v}");
        }
        Attr::Ints(v) => print_list(v, out, |x, out| {
            let _ = write!(out, "{x}");
        }),
        Attr::Floats(v) => {
            if v.is_empty() {
                out.push_str("floats");
            }
            print_list(v, out, |x, out| print_float(*x, out));
        }
        Attr::Strs(v) => {
            if v.is_empty() {
                out.push_str("strs");
            }
            print_list(v, out, |x, out| quote(x, out));
        }
        Attr::Dims(v) => {
            out.push_str("dims");
            print_list(v, out, |x, out| {
                let _ = write!(out, "{x}");
            });
        }
        Attr::Stream(v) => print_stream(v, out),
        Attr::State(v) => {
            let _ = write!(out, "{v}");
        }
        Attr::Model(v) => {
            let _ = write!(out, "{v}");
        }
    }
}
