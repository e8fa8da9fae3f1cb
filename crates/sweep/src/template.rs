//! Values with `${...}` in their texts: parsed once for a block, resolved once for a model.

use std::collections::BTreeMap;
use std::ops::Range;

use syncarp_diag::{Located, Source};

use crate::error::Reports;
use crate::eval::{MAX_TEXT, evaluate};
use crate::expr::{ExprError, Names, Node, parse};
use crate::spell;
use crate::value::{Spanned, Table, Value};

/// The most values that all models of a sweep may have together; it bounds memory.
pub(crate) const MAX_VALUES: u64 = 20_000_000;

/// A value that may depend on the settings.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    /// Nothing inside depends on anything; with its weight.
    Fixed(Value, u64),
    /// One `${...}` and nothing beside it, which keeps the type.
    Hole(Hole),
    /// A text with holes in it.
    Text(Vec<Piece>),
    Array(Vec<Spanned<Template>>),
    Table(Vec<(Spanned<String>, Spanned<Template>)>),
}

#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Text(String),
    Hole(Hole),
}

/// An expression and how to find it in the file.
#[derive(Debug, Clone)]
pub(crate) struct Hole {
    node: Node,
    place: Place,
}

/// Where an expression stands: exactly, or somewhere in a text that was written with escapes.
#[derive(Debug, Clone)]
enum Place {
    At(usize),
    Within(Range<usize>),
}

impl Place {
    fn locate(&self, source: &Source, error: ExprError) -> Located {
        let span = match self {
            Place::At(start) => start + error.at.start..start + error.at.end,
            Place::Within(span) => span.clone(),
        };
        let located = Located::new(source, span, error.message);
        match error.help {
            Some(help) => located.with_help(help),
            None => located,
        }
    }
}

/// The names that expressions of one block may use: the settings, and the indices of repeats.
pub(crate) struct Scope {
    names: Vec<String>,
    slots: BTreeMap<String, usize>,
    used: Vec<bool>,
    loops: Vec<String>,
}

impl Scope {
    /// A scope with `index`, the model's number in its block, in slot 0 and then the settings.
    pub fn new<'n>(settings: impl Iterator<Item = &'n str>) -> Self {
        let names: Vec<String> = std::iter::once("index")
            .chain(settings)
            .map(str::to_owned)
            .collect();
        let slots = names
            .iter()
            .enumerate()
            .map(|(slot, name)| (name.clone(), slot))
            .collect();
        Scope {
            used: vec![false; names.len()],
            names,
            slots,
            loops: Vec::new(),
        }
    }

    /// Whether the setting of this number occurs in any expression parsed so far.
    pub fn is_used(&self, setting: usize) -> bool {
        self.used[setting + 1]
    }

    pub fn is_setting(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    pub fn enter_repeat(&mut self, index: &str) {
        self.loops.push(index.to_owned());
    }

    pub fn leave_repeat(&mut self) {
        self.loops.pop();
    }
}

impl Names for Scope {
    fn slot(&mut self, name: &str) -> Option<usize> {
        if let Some(depth) = self.loops.iter().rposition(|index| index == name) {
            return Some(self.names.len() + depth);
        }
        let slot = *self.slots.get(name)?;
        self.used[slot] = true;
        Some(slot)
    }

    fn help(&self, name: &str) -> String {
        let loops = self.loops.iter().rev();
        let known: Vec<&str> = self.names[1..]
            .iter()
            .chain(loops)
            .chain(&self.names[..1])
            .map(String::as_str)
            .collect();
        spell::help("known here", name, &known)
    }
}

/// What resolving needs besides the values: where to point, and how much may still be made.
pub(crate) struct Work<'s> {
    pub source: &'s Source,
    left: u64,
}

impl<'s> Work<'s> {
    pub fn new(source: &'s Source) -> Self {
        Work {
            source,
            left: MAX_VALUES,
        }
    }

    /// Takes `weight` values from what may still be made.
    pub fn charge(&mut self, weight: u64, span: &Range<usize>) -> Result<(), Located> {
        match self.left.checked_sub(weight) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let message = format!("the sweep expands to more than {MAX_VALUES} values");
                let mistake = Located::new(self.source, span.clone(), message);
                Err(mistake.with_help("split it into several sweeps"))
            }
        }
    }
}

impl Template {
    fn fixed(value: Value) -> Self {
        let weight = value.weight();
        Template::Fixed(value, weight)
    }
}

/// Parses every `${...}` in `value`. Mistakes are reported, and what is returned then stands in.
pub(crate) fn compile(
    value: &Spanned<Value>,
    scope: &mut Scope,
    reports: &mut Reports,
) -> Spanned<Template> {
    let template = match &value.value {
        // With no room for another mistake, this block will not be expanded.
        _ if reports.full() => Template::fixed(Value::Bool(false)),
        Value::Str(text) if text.contains("${") => compile_text(text, &value.span, scope, reports),
        Value::Array(items) => {
            let items = items
                .iter()
                .map(|item| compile(item, scope, reports))
                .collect();
            match all_fixed(items, |item| item, |_, value| value) {
                Ok(items) => Template::fixed(Value::Array(items)),
                Err(items) => Template::Array(items),
            }
        }
        Value::Table(table) => {
            let entries = compile_table(table, scope, reports);
            match all_fixed(
                entries,
                |entry| &entry.1,
                |entry, value| (entry.0.clone(), value),
            ) {
                Ok(entries) => Template::fixed(Value::Table(Table { entries })),
                Err(entries) => Template::Table(entries),
            }
        }
        other => Template::fixed(other.clone()),
    };
    Spanned::new(template, value.span.clone())
}

/// The parts with their values in place of their templates if all of these are fixed.
fn all_fixed<P, F>(
    parts: Vec<P>,
    template: impl Fn(&P) -> &Spanned<Template>,
    fix: impl Fn(&P, Spanned<Value>) -> F,
) -> Result<Vec<F>, Vec<P>> {
    let fixed: Option<Vec<F>> = parts
        .iter()
        .map(|part| match template(part) {
            Spanned {
                value: Template::Fixed(value, _),
                span,
            } => Some(fix(part, Spanned::new(value.clone(), span.clone()))),
            _ => None,
        })
        .collect();
    fixed.ok_or(parts)
}

fn compile_table(
    table: &Table,
    scope: &mut Scope,
    reports: &mut Reports,
) -> Vec<(Spanned<String>, Spanned<Template>)> {
    table
        .iter()
        .map(|(key, value)| {
            check_key(key, reports);
            (key.clone(), compile(value, scope, reports))
        })
        .collect()
}

/// Reports a key with `${...}` in it: only values are substituted.
pub(crate) fn check_key(key: &Spanned<String>, reports: &mut Reports) {
    if key.value.contains("${") {
        let message = "a key cannot contain `${...}`";
        reports.say(
            key.span.clone(),
            message,
            "only values can; `\"${act}\"` alone is a layer",
        );
    }
}

fn compile_text(
    text: &str,
    span: &Range<usize>,
    scope: &mut Scope,
    reports: &mut Reports,
) -> Template {
    let start = verbatim(text, span, reports.source);
    let place = |offset: usize| match start {
        Some(start) => Place::At(start + offset),
        None => Place::Within(span.clone()),
    };
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let dollar = at + found;
        if text[..dollar].ends_with('$') && dollar > at {
            plain.push_str(&text[at..dollar - 1]);
            plain.push_str("${");
            at = dollar + 2;
            continue;
        }
        plain.push_str(&text[at..dollar]);
        let inside = dollar + 2;
        let Some(length) = closing(&text[inside..]) else {
            let error = ExprError::new(0..2, "`${` without its `}`")
                .with_help("write `$${` for a dollar and a brace");
            reports.push(place(dollar).locate(reports.source, error));
            return Template::fixed(Value::Bool(false));
        };
        match parse(&text[inside..inside + length], scope) {
            Ok(node) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Hole(Hole {
                    node,
                    place: place(inside),
                }));
            }
            Err(error) => reports.push(place(inside).locate(reports.source, error)),
        }
        at = inside + length + 1;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    match pieces.len() {
        1 => match pieces.remove(0) {
            Piece::Hole(hole) => Template::Hole(hole),
            Piece::Text(text) => Template::fixed(Value::Str(text)),
        },
        _ => Template::Text(pieces),
    }
}

/// The length of the expression before its `}`, which does not count inside quotes.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'}') => return Some(at),
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// Where the text begins in the file, if it stands there as it is, without escapes.
fn verbatim(text: &str, span: &Range<usize>, source: &Source) -> Option<usize> {
    let raw = source.text.get(span.clone())?;
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") {
        3
    } else {
        1
    };
    let inner = raw.get(quotes..raw.len().checked_sub(quotes)?)?;
    (inner == text).then_some(span.start + quotes)
}

impl Spanned<Template> {
    /// The value where the settings and indices have the values in `slots`.
    pub fn resolve(&self, slots: &[Value], work: &mut Work) -> Result<Spanned<Value>, Located> {
        let value = match &self.value {
            Template::Fixed(value, weight) => {
                work.charge(*weight, &self.span)?;
                value.clone()
            }
            Template::Hole(hole) => {
                let value = hole.value(slots, work.source)?.into_owned();
                work.charge(value.weight(), &self.span)?;
                value
            }
            Template::Text(pieces) => {
                let text = self.text(pieces, slots, work.source)?;
                work.charge(1 + text.len() as u64 / 32, &self.span)?;
                Value::Str(text)
            }
            Template::Array(items) => {
                work.charge(1, &self.span)?;
                let items: Result<_, Located> =
                    items.iter().map(|item| item.resolve(slots, work)).collect();
                Value::Array(items?)
            }
            Template::Table(entries) => {
                let keys = entries
                    .iter()
                    .map(|(key, _)| 1 + key.value.len() as u64 / 32);
                work.charge(1 + keys.sum::<u64>(), &self.span)?;
                let entries: Result<_, Located> = entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), value.resolve(slots, work)?)))
                    .collect();
                Value::Table(entries?)
            }
        };
        Ok(Spanned::new(value, self.span.clone()))
    }

    fn text(&self, pieces: &[Piece], slots: &[Value], source: &Source) -> Result<String, Located> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Hole(hole) => match hole.value(slots, source)?.as_ref() {
                    Value::Table(_) => {
                        let error = ExprError::new(hole.node.at.clone(), "a table inside a text");
                        return Err(hole.place.locate(source, error));
                    }
                    value => text.push_str(&value.to_string()),
                },
            }
            if text.len() > MAX_TEXT {
                let message = format!("a text of more than {MAX_TEXT} bytes");
                return Err(Located::new(source, self.span.clone(), message));
            }
        }
        Ok(text)
    }

    /// The value, which has to be a boolean; `what` says of what in messages.
    pub fn resolve_bool(
        &self,
        slots: &[Value],
        work: &mut Work,
        what: &str,
    ) -> Result<bool, Located> {
        let value = self.resolve(slots, work)?;
        match value.value {
            Value::Bool(flag) => Ok(flag),
            other => Err(kind_mistake(
                work.source,
                &self.span,
                what,
                "a boolean",
                &other,
            )),
        }
    }

    /// The value, which has to be a string.
    pub fn resolve_str(
        &self,
        slots: &[Value],
        work: &mut Work,
        what: &str,
    ) -> Result<Spanned<String>, Located> {
        let value = self.resolve(slots, work)?;
        match value.value {
            Value::Str(text) => Ok(Spanned::new(text, value.span)),
            other => Err(kind_mistake(
                work.source,
                &self.span,
                what,
                "a string",
                &other,
            )),
        }
    }
}

impl Hole {
    fn value<'e>(
        &'e self,
        slots: &'e [Value],
        source: &Source,
    ) -> Result<std::borrow::Cow<'e, Value>, Located> {
        evaluate(&self.node, slots).map_err(|error| self.place.locate(source, error))
    }
}

/// A mistake about a value of the wrong kind.
pub(crate) fn kind_mistake(
    source: &Source,
    span: &Range<usize>,
    what: &str,
    wanted: &str,
    found: &Value,
) -> Located {
    let message = format!("{what} must be {wanted}, not {}", found.describe());
    Located::new(source, span.clone(), message)
}
