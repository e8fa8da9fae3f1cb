//! `passes`, `ops`, `policies`: what is registered, with its documentation.

use serde_json::{Value as Json, json};
use syncarp_ir::{Arity, Op, nearest};
use syncarp_place::PolicyRegistry;

use crate::args::{ListArgs, OpsArgs};
use crate::output::{print, print_json};
use crate::report::{Failure, Outcome};
use syncarp_standard::Registries;
use syncarp_standard::reference::{self, OpFacts};

/// Lists passes.
///
/// # Errors
/// Where standard output cannot be written to.
pub(crate) fn passes(args: &ListArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let (mut text, mut json) = (String::new(), Vec::new());
    for info in registries.passes.iter() {
        let doc = &info.doc;
        text += &format!("{}  [{}, {}]\n", doc.name, doc.stage, doc.exactness);
        text += &format!("    {}\n", doc.doc.replace('\n', "\n    "));
        for (name, meaning) in doc.options {
            text += &format!("    {name}: {meaning}\n");
        }
        let options: Vec<Json> = doc
            .options
            .iter()
            .map(|(name, meaning)| json!({ "name": name, "doc": meaning }))
            .collect();
        json.push(json!({
            "name": doc.name,
            "doc": doc.doc,
            "stage": doc.stage.to_string(),
            "exactness": doc.exactness.to_string(),
            "options": options,
        }));
    }
    list(args.json, text, json)
}

/// Lists ops, or says all about one.
///
/// # Errors
/// Where there is no such op, or standard output cannot be written to.
pub(crate) fn ops(args: &OpsArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    if args.markdown {
        let page = reference::ops_page(&registries);
        print(&page.map_err(|e| Failure::work(e.to_string()))?)?;
        return Ok(Outcome::Done);
    }
    if let Some(name) = &args.name {
        let id = registries.ops.find(name);
        let id = id.ok_or_else(|| unknown(&registries, name))?;
        let facts = OpFacts::of(&registries, id).map_err(|e| Failure::work(e.to_string()))?;
        match args.json {
            true => print_json(&op_json(&facts))?,
            false => print(&reference::op_text(&facts))?,
        }
        return Ok(Outcome::Done);
    }
    let ops = registries.ops.iter();
    let ops = ops.map(|(id, _)| OpFacts::of(&registries, id));
    let mut ops: Vec<OpFacts<'_>> = ops
        .collect::<Result<_, _>>()
        .map_err(|e| Failure::work(e.to_string()))?;
    ops.sort_by_key(|facts| facts.op.name());
    let text = ops.iter().map(|facts| op_entry(facts.op)).collect();
    let json = ops.iter().map(op_json).collect();
    list(args.json, text, json)
}

/// A name that no op has: what it is called here where it is ONNX's or ATen's, else the nearest.
fn unknown(registries: &Registries, name: &str) -> Failure {
    let all = || registries.ops.iter().map(|(_, op)| op);
    let from = all().filter(|op| {
        let sources = op.sources();
        sources.onnx.contains(&name) || sources.aten.contains(&name)
    });
    let from: Vec<String> = from.map(|op| format!("`{}`", op.name())).collect();
    let help = match nearest(name, all().map(|op| op.name())) {
        _ if !from.is_empty() => format!("elsewhere that is {}", from.join(", ")),
        Some(close) => format!("did you mean `{close}`?"),
        None => "`syncarp ops` lists them".to_owned(),
    };
    Failure::Usage {
        message: format!("no op is called `{name}`"),
        help: Some(help),
    }
}

fn arity(arity: Arity) -> &'static str {
    match arity {
        Arity::One => "one",
        Arity::Optional => "optional",
        Arity::Variadic => "variadic",
    }
}

fn op_entry(op: &dyn Op) -> String {
    let mut text = format!("{}\n    {}\n", reference::signature(op), op.doc());
    for spec in op.attributes() {
        let needed = match (spec.required, spec.default) {
            (true, _) => String::new(),
            (false, Some(default)) => format!(", {default} by default"),
            (false, None) => ", optional".to_owned(),
        };
        text += &format!("    {} ({}{needed}): {}\n", spec.name, spec.kind, spec.doc);
    }
    text
}

fn op_json(facts: &OpFacts<'_>) -> Json {
    let op = facts.op;
    let operands = op.operands().iter();
    let operands = operands.map(|o| json!({ "name": o.name, "arity": arity(o.arity) }));
    let attributes = op.attributes().iter().map(|spec| {
        json!({
            "name": spec.name,
            "kind": spec.kind.to_string(),
            "required": spec.required,
            "default": spec.default.map(|d| d.to_string()),
            "doc": spec.doc,
        })
    });
    let sources = op.sources();
    let sheet = facts.sheet.as_ref();
    json!({
        "name": op.name(),
        "family": facts.family,
        "doc": op.doc(),
        "operands": operands.collect::<Vec<_>>(),
        "attributes": attributes.collect::<Vec<_>>(),
        "results": op.results(),
        "onnx": sources.onnx,
        "aten": sources.aten,
        "exactness": op.exactness().to_string(),
        "gradient": sheet.map(|s| s.differentiable.to_string()),
        "kernel": facts.kernel,
        "example": op.example(),
    })
}

/// Lists placement policies.
///
/// # Errors
/// Where standard output cannot be written to.
pub(crate) fn policies(args: &ListArgs) -> Result<Outcome, Failure> {
    let (mut text, mut json) = (String::new(), Vec::new());
    for policy in PolicyRegistry::standard().iter() {
        text += &format!("{}\n    {}\n", policy.name(), policy.doc());
        json.push(json!({ "name": policy.name(), "doc": policy.doc() }));
    }
    list(args.json, text, json)
}

fn list(as_json: bool, text: String, json: Vec<Json>) -> Result<Outcome, Failure> {
    match as_json {
        true => print_json(&Json::Array(json))?,
        false => print(&text)?,
    }
    Ok(Outcome::Done)
}
