//! Prints a plan.

use std::fmt::Write;

use super::lexer::quote;
use crate::attr::Attr;
use crate::entity::{Node, Value};
use crate::graph::{Graph, OutputKey};
use crate::plan::{Initial, Plan};
use crate::provenance::Role;
use crate::stream::{Distribution, StreamKey};

/// A plan as text.
pub fn print(plan: &Plan) -> String {
    let mut out = String::from("syncarp 1\n");
    print_models(plan, &mut out);
    for (name, graph) in &plan.graphs {
        out.push_str("\ngraph ");
        quote(name, &mut out);
        out.push_str(" {\n");
        for node in graph.nodes() {
            print_node(graph, node, &plain, &mut out);
        }
        for output in graph.outputs() {
            out.push_str("  ");
            print_key(&output.key, &mut out);
            let _ = writeln!(out, " = {}", output.value);
        }
        out.push_str("}\n");
    }
    out
}

/// What a value is called in the text form.
pub(crate) fn plain(value: Value, out: &mut String) {
    let _ = write!(out, "{value}");
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

fn print_models(plan: &Plan, out: &mut String) {
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
        }
        out.push_str("}\n");
    }
}

/// One node's line, with values named by somebody.
pub(crate) fn print_node(
    graph: &Graph,
    node: Node,
    name: &impl Fn(Value, &mut String),
    out: &mut String,
) {
    print_node_body(graph, node, name, out);
    if let Some(device) = graph.device(node) {
        let _ = write!(out, " on {device}");
    }
    let provenance = graph.provenance();
    let set = provenance.set(graph.provenance_id(node)).iter();
    let mut set: Vec<_> = set
        .map(|o| (o.model, provenance.path(o.path), o.role))
        .collect();
    set.sort();
    for (i, (model, path, role)) in set.into_iter().enumerate() {
        let _ = write!(out, "{}{model}", if i > 0 { ", " } else { " @" });
        if !path.is_empty() {
            out.push(' ');
            quote(path, out);
        }
        if role != Role::Forward {
            let _ = write!(out, " ({role})");
        }
    }
    out.push('\n');
}

/// A node without where it runs and comes from, and without the line's end.
pub(crate) fn print_node_body(
    graph: &Graph,
    node: Node,
    name: &impl Fn(Value, &mut String),
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
    let attrs = graph.attrs(node);
    if !attrs.is_empty() {
        out.push_str(" {");
        for (i, (name, value)) in attrs.iter().enumerate() {
            let _ = write!(out, "{}{name}=", if i > 0 { ", " } else { "" });
            print_attr(value, out);
        }
        out.push('}');
    }
    for (i, value) in graph.results(node).enumerate() {
        let _ = write!(
            out,
            "{}{}",
            if i > 0 { ", " } else { " : " },
            graph.ty(value)
        );
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
