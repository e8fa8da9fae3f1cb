//! The ops.

use std::collections::BTreeMap;
use std::fmt::Write;

use syncarp_ir::{Arity, AttrSpec, Op, OpId, Part, Sheet, SheetError, TensorType};
use thiserror::Error;

use super::{cell, generated};
use crate::Registries;

/// Why an op cannot be described; the fault is its author's.
#[derive(Debug, Error)]
#[error("op `{op}`: {cause}")]
pub struct ReferenceError {
    /// The op's name.
    pub op: String,
    /// What is wrong.
    #[source]
    pub cause: SheetError,
}

/// An op and all that is found out about it.
pub struct OpFacts<'r> {
    /// The op.
    pub op: &'r dyn Op,
    /// The family that it belongs to.
    pub family: &'static str,
    /// Whether the embedded engine runs it as it is.
    pub kernel: bool,
    /// What comes of its example, where it has one.
    pub sheet: Option<Sheet>,
}

impl<'r> OpFacts<'r> {
    /// Finds out about an op.
    ///
    /// # Errors
    /// Where its example does not work out.
    pub fn of(registries: &'r Registries, id: OpId) -> Result<Self, ReferenceError> {
        let op = registries.ops.op(id);
        let sheet = Sheet::of(&registries.ops, id).map_err(|cause| ReferenceError {
            op: op.name().to_owned(),
            cause,
        })?;
        Ok(OpFacts {
            op,
            family: registries.ops.family(id).map_or("others", |f| f.name),
            kernel: registries.has_kernel(op.name()),
            sheet,
        })
    }

    /// Who runs it.
    fn engine(&self) -> &'static str {
        let parts = self
            .sheet
            .as_ref()
            .is_some_and(|s| s.decomposition.is_some());
        match (self.kernel, parts) {
            (true, _) => "a kernel",
            (false, true) => "its decomposition",
            (false, false) => "nothing",
        }
    }

    /// How its gradient comes about.
    fn gradient(&self) -> String {
        let sheet = self.sheet.as_ref();
        sheet.map_or("none".to_owned(), |s| s.differentiable.to_string())
    }

    /// Its example as a node, and what that gives and takes.
    fn example(&self) -> Option<(String, String)> {
        let (text, sheet) = (self.op.example()?, self.sheet.as_ref()?);
        let results: Vec<String> = sheet.results.iter().map(TensorType::to_string).collect();
        let node = format!("{} {text} : {}", self.op.name(), results.join(", "));
        let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
        let (flops, bytes) = (number(sheet.flops), number(sheet.bytes));
        Some((node, format!("{flops} FLOPs, {bytes} bytes")))
    }

    /// What it is made of and how its gradient comes about, each with a title.
    fn parts(&self) -> impl Iterator<Item = (&'static str, &Part)> {
        let sheet = self.sheet.as_ref();
        let decomposition = sheet.and_then(|s| s.decomposition.as_ref());
        let gradient = sheet.and_then(|s| s.gradient.as_ref());
        let parts = [("Decomposition", decomposition), ("Gradient", gradient)];
        parts
            .into_iter()
            .filter_map(|(title, part)| Some((title, part?)))
    }
}

/// An op with its operands and results: `linear(x, weight, bias?) -> result`.
pub fn signature(op: &dyn Op) -> String {
    let operand = |operand: &syncarp_ir::Operand| match operand.arity {
        Arity::One => operand.name.to_owned(),
        Arity::Optional => format!("{}?", operand.name),
        Arity::Variadic => format!("{}...", operand.name),
    };
    let operands: Vec<String> = op.operands().iter().map(operand).collect();
    let results = op.results().join(", ");
    format!("{}({}) -> {results}", op.name(), operands.join(", "))
}

/// What holds of an attribute where it is left out.
fn left_out(spec: &AttrSpec) -> String {
    match (spec.required, spec.default) {
        (true, _) => "required".to_owned(),
        (false, Some(default)) => format!("`{default}`"),
        (false, None) => "optional".to_owned(),
    }
}

/// All about one op as plain text, for a terminal.
pub fn op_text(facts: &OpFacts<'_>) -> String {
    let op = facts.op;
    let mut text = format!("{}  [{}]\n    {}\n", signature(op), facts.family, op.doc());
    for spec in op.attributes() {
        let (name, kind, doc) = (spec.name, spec.kind, spec.doc);
        let left_out = left_out(spec).replace('`', "");
        let _ = writeln!(text, "    {name} ({kind}, {left_out}): {doc}");
    }
    let (gradient, engine) = (facts.gradient(), facts.engine());
    let exactness = op.exactness();
    let _ = writeln!(
        text,
        "\n    gradient: {gradient}\n    exactness: {exactness}"
    );
    let _ = writeln!(text, "    the embedded engine runs: {engine}");
    if let Some((node, work)) = facts.example() {
        let _ = writeln!(text, "    example: {node} ({work})");
    }
    for (title, part) in facts.parts() {
        let _ = writeln!(text, "\n    {title} of the example:");
        for line in part.text.lines() {
            let _ = writeln!(text, "        {line}");
        }
    }
    text
}

/// The page of all ops, in Markdown.
///
/// # Errors
/// Where an op's example does not work out.
pub fn ops_page(registries: &Registries) -> Result<String, ReferenceError> {
    let mut chapters: Vec<(&str, &str, Vec<OpFacts<'_>>)> = Vec::new();
    for (id, _) in registries.ops.iter() {
        let facts = OpFacts::of(registries, id)?;
        match chapters.iter_mut().find(|(name, ..)| *name == facts.family) {
            Some((.., ops)) => ops.push(facts),
            None => {
                let doc = registries.ops.family(id).map_or("", |f| f.doc);
                chapters.push((facts.family, doc, vec![facts]));
            }
        }
    }
    let mut page = generated(", and so does `syncarp ops --markdown`");
    page.push_str(INTRODUCTION);
    for (family, doc, ops) in &chapters {
        let names: Vec<String> = ops.iter().map(|f| link(f.op.name())).collect();
        let _ = write!(page, "\n## {family}\n\n{doc}\n\n{}\n", names.join(" · "));
        ops.iter().for_each(|facts| chapter(facts, &mut page));
    }
    index(registries, &mut page);
    Ok(page)
}

const INTRODUCTION: &str = "# Ops

What graphs are made of. `syncarp ops` lists them, `syncarp ops NAME` shows one.

Of every op this page says its operands (`?` may be left out, `...` may occur any number of times) and results, what it
computes, its attributes, and

- **gradient**: `rule` (emitted in ops), `decomposition` (that of the ops that it is made of), `constant` (gradients
  stop), or `none`;
- **exactness** under merging on one engine: `bitwise` or `tolerance`;
- what the **embedded engine** runs: a kernel, or the decomposition;
- an **example** with its work: floating-point operations, and bytes read and written. Decomposition and gradient are
  those of the example, with operands and results under their names, and `dx` for the gradient of `x`.

[At the end](#names-elsewhere) stand the names that ops have in ONNX and ATen. [The text form](reference-text-form.md)
says how graphs are written.
";

fn link(op: &str) -> String {
    format!("[`{op}`](#{op})")
}

fn chapter(facts: &OpFacts<'_>, page: &mut String) {
    let op = facts.op;
    let _ = write!(
        page,
        "\n### `{}`\n\n`{}`\n\n{}\n",
        op.name(),
        signature(op),
        linked(op)
    );
    if !op.attributes().is_empty() {
        page.push_str("\n| attribute | kind | default | |\n|---|---|---|---|\n");
    }
    for spec in op.attributes() {
        let (name, kind, doc) = (spec.name, spec.kind, cell(spec.doc));
        let _ = writeln!(page, "| `{name}` | {kind} | {} | {doc} |", left_out(spec));
    }
    let (gradient, exactness, engine) = (facts.gradient(), op.exactness(), facts.engine());
    let _ = write!(
        page,
        "\nGradient: {gradient}. Exactness: {exactness}. Embedded engine: {engine}."
    );
    if let Some((node, work)) = facts.example() {
        let _ = write!(page, " Example: `{node}`, {work}.");
    }
    page.push('\n');
    for (title, part) in facts.parts() {
        let _ = write!(page, "\n{title}:\n\n```text\n{}```\n", part.text);
    }
}

/// The documentation, with ONNX's names as links.
fn linked(op: &dyn Op) -> String {
    let mut doc = op.doc().to_owned();
    for name in op.sources().onnx {
        let url = format!("https://onnx.ai/onnx/operators/onnx__{name}.html");
        doc = doc.replacen(&format!("`{name}`"), &format!("[`{name}`]({url})"), 1);
    }
    doc
}

/// Which op stands for which name of ONNX and ATen.
fn index(registries: &Registries, page: &mut String) {
    let mut onnx: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut aten = onnx.clone();
    for (_, op) in registries.ops.iter() {
        let sources = op.sources();
        for (names, map) in [(sources.onnx, &mut onnx), (sources.aten, &mut aten)] {
            names
                .into_iter()
                .for_each(|name| map.entry(name).or_default().push(op.name()));
        }
    }
    page.push_str("\n## Names elsewhere\n");
    for (title, map) in [("ONNX", onnx), ("ATen", aten)] {
        let _ = write!(page, "\n| {title} | op |\n|---|---|\n");
        for (name, ops) in map {
            let ops: Vec<String> = ops.into_iter().map(link).collect();
            let _ = writeln!(page, "| `{name}` | {} |", ops.join(", "));
        }
    }
    page.push_str(
        "\nFront ends know more than that and emit several ops for it; [ATen's functions](\
         reference-aten.md) are listed.\n",
    );
}
