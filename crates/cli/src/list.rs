//! `passes`, `ops`, `policies`: what is registered, with its documentation.

use serde_json::{Value as Json, json};
use syncarp_ir::{Arity, Op};
use syncarp_place::PolicyRegistry;

use crate::args::ListArgs;
use crate::output::{print, print_json};
use crate::report::{Failure, Outcome};
use syncarp_standard::Registries;

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
    list(args, text, json)
}

/// Lists ops.
///
/// # Errors
/// Where standard output cannot be written to.
pub(crate) fn ops(args: &ListArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let mut ops: Vec<&dyn Op> = registries.ops.iter().map(|(_, op)| op).collect();
    ops.sort_by_key(|op| op.name());
    let (mut text, mut json) = (String::new(), Vec::new());
    for op in ops {
        text += &op_text(op);
        json.push(op_json(op));
    }
    list(args, text, json)
}

fn arity(arity: Arity) -> &'static str {
    match arity {
        Arity::One => "one",
        Arity::Optional => "optional",
        Arity::Variadic => "variadic",
    }
}

fn op_text(op: &dyn Op) -> String {
    let operands: Vec<String> = op
        .operands()
        .iter()
        .map(|operand| match operand.arity {
            Arity::One => operand.name.to_owned(),
            Arity::Optional => format!("{}?", operand.name),
            Arity::Variadic => format!("{}...", operand.name),
        })
        .collect();
    let results = op.results().join(", ");
    let mut text = format!("{}({}) -> {results}\n", op.name(), operands.join(", "));
    text += &format!("    {}\n", op.doc());
    for spec in op.attributes() {
        let needed = if spec.required { "" } else { ", optional" };
        text += &format!("    {} ({}{needed}): {}\n", spec.name, spec.kind, spec.doc);
    }
    text
}

fn op_json(op: &dyn Op) -> Json {
    let operands = op.operands().iter();
    let operands = operands.map(|o| json!({ "name": o.name, "arity": arity(o.arity) }));
    let attributes = op.attributes().iter().map(|spec| {
        json!({
            "name": spec.name,
            "kind": spec.kind.to_string(),
            "required": spec.required,
            "doc": spec.doc,
        })
    });
    json!({
        "name": op.name(),
        "doc": op.doc(),
        "operands": operands.collect::<Vec<_>>(),
        "attributes": attributes.collect::<Vec<_>>(),
        "results": op.results(),
        "exactness": op.exactness().to_string(),
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
    list(args, text, json)
}

fn list(args: &ListArgs, text: String, json: Vec<Json>) -> Result<Outcome, Failure> {
    match args.json {
        true => print_json(&Json::Array(json))?,
        false => print(&text)?,
    }
    Ok(Outcome::Done)
}
