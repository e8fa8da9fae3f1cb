//! The parts of a model: lists of layers and files, and what is done with them.

use std::ops::Range;

use syncarp_diag::Located;

use crate::entry::{Entry, parse_list};
use crate::error::Reports;
use crate::expand::Expander;
use crate::layer::{Part, PartBody};
use crate::lora::Lora;
use crate::spell;
use crate::template::{Scope, Template, compile, kind_mistake};
use crate::value::{Spanned, Table, Value};

const PART_KEYS: [&str; 7] = [
    "name",
    "file",
    "layers",
    "cut",
    "lora",
    "freeze",
    "freeze-parameters",
];

/// How many values a part weighs, its layers not counted.
const PART_WEIGHT: u64 = 5;

/// A part without mistakes of its own; what it becomes in a model may still be wrong.
pub(crate) struct PartTemplate {
    name: Option<Spanned<Template>>,
    body: BodyTemplate,
    cut: Option<Spanned<Template>>,
    lora: Option<Spanned<Template>>,
    freeze: Option<Spanned<Template>>,
    freeze_parameters: Option<Spanned<Template>>,
    span: Range<usize>,
}

enum BodyTemplate {
    File(Spanned<Template>),
    Layers(Vec<Entry>),
}

/// The parts of a block: listed, or its own layers or file as the only one.
pub(crate) fn parse(
    table: &Table,
    span: &Range<usize>,
    scope: &mut Scope,
    reports: &mut Reports,
) -> Vec<PartTemplate> {
    let Some((key, parts)) = table.entry("parts") else {
        return parse_part(table, span, false, scope, reports)
            .into_iter()
            .collect();
    };
    for other in PART_KEYS.iter().filter(|key| **key != "name") {
        if let Some((other, _)) = table.entry(other) {
            let message = format!("a model has `parts` or `{}`, not both", other.value);
            reports.say(
                other.span.clone(),
                message,
                "move it into the part that it is meant for",
            );
        }
    }
    let items = match &parts.value {
        Value::Array(items) if !items.is_empty() => items,
        _ => {
            let help = "write `parts = [{ file = \"backbone.syn\" }, { layers = [...] }]`";
            reports.say(
                key.span.clone(),
                "`parts` must be an array with a part at least",
                help,
            );
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        match &item.value {
            Value::Table(part) => {
                for mistake in spell::unknown_keys(reports.source, part, "a part", &PART_KEYS) {
                    reports.push(mistake);
                }
                read.extend(parse_part(part, &item.span, true, scope, reports));
            }
            other => {
                let source = reports.source;
                reports.push(kind_mistake(source, &item.span, "a part", "a table", other));
            }
        }
    }
    read
}

fn parse_part(
    table: &Table,
    span: &Range<usize>,
    named: bool,
    scope: &mut Scope,
    reports: &mut Reports,
) -> Option<PartTemplate> {
    let body = match (table.get("layers"), table.entry("file")) {
        (Some(layers), None) => {
            BodyTemplate::Layers(parse_list(layers, "`layers`", scope, reports))
        }
        (None, Some((_, file))) => BodyTemplate::File(compile(file, scope, reports)),
        (Some(_), Some((file, _))) => {
            let message = "`layers` and `file` in one part";
            let help = "chain them: `parts = [{ file = \"...\" }, { layers = [...] }]`";
            reports.say(file.span.clone(), message, help);
            return None;
        }
        (None, None) => {
            let (what, help) = match named {
                true => ("a part", "it has `layers` or a `file`"),
                false => ("a model", "it has `layers`, a `file` or `parts`"),
            };
            reports.say(span.clone(), format!("{what} without anything in it"), help);
            return None;
        }
    };
    if let (BodyTemplate::Layers(_), Some((cut, _))) = (&body, table.entry("cut")) {
        let help = "leave the layers out that are not wanted";
        reports.say(
            cut.span.clone(),
            "only a `file` has values to `cut` at",
            help,
        );
        return None;
    }
    let mut compiled = |key| table.get(key).map(|value| compile(value, scope, reports));
    Some(PartTemplate {
        name: if named { compiled("name") } else { None },
        cut: compiled("cut"),
        lora: compiled("lora"),
        freeze: compiled("freeze"),
        freeze_parameters: compiled("freeze-parameters"),
        body,
        span: span.clone(),
    })
}

impl PartTemplate {
    /// The part in one model.
    ///
    /// # Errors
    /// A mistake that the settings' values make.
    pub fn resolve(&self, expander: &mut Expander) -> Result<Part, Located> {
        expander.work.charge(PART_WEIGHT, &self.span)?;
        let name = expander.part_name(self.name.as_ref())?;
        let body = match &self.body {
            BodyTemplate::Layers(layers) => PartBody::Layers(expander.list(layers)?),
            BodyTemplate::File(file) => {
                let value = expander.resolve(file)?;
                match value.value {
                    Value::Str(path) if !path.is_empty() => {
                        PartBody::File(Spanned::new(path, value.span))
                    }
                    other => {
                        let source = expander.work.source;
                        return Err(kind_mistake(
                            source,
                            &value.span,
                            "`file`",
                            "a path",
                            &other,
                        ));
                    }
                }
            }
        };
        let freeze = patterns("freeze", self.freeze.as_ref(), expander)?;
        let freeze_parameters = patterns(
            "freeze-parameters",
            self.freeze_parameters.as_ref(),
            expander,
        )?;
        let cut = match &self.cut {
            Some(cut) => Some(expander.text(cut, "`cut`")?),
            None => None,
        };
        let lora = match &self.lora {
            Some(lora) => Some(Lora::parse(&expander.resolve(lora)?, expander.work.source)?),
            None => None,
        };
        Ok(Part {
            name,
            body,
            cut,
            lora,
            freeze,
            freeze_parameters,
            span: self.span.clone(),
        })
    }
}

/// Patterns of names: an array of texts, or one text.
fn patterns(
    key: &str,
    template: Option<&Spanned<Template>>,
    expander: &mut Expander,
) -> Result<Vec<Spanned<String>>, Located> {
    let Some(template) = template else {
        return Ok(Vec::new());
    };
    let value = expander.resolve(template)?;
    let items = match value.value {
        Value::Array(items) => items,
        one => vec![Spanned::new(one, value.span)],
    };
    let source = expander.work.source;
    items
        .into_iter()
        .map(|item| match item.value {
            Value::Str(pattern) => Ok(Spanned::new(pattern, item.span)),
            other => {
                let what = format!("a pattern of `{key}`");
                Err(kind_mistake(source, &item.span, &what, "a string", &other)
                    .with_help("write `freeze = [\"*\"]` to freeze everything"))
            }
        })
        .collect()
}

/// No two parts of a model have one name.
///
/// # Errors
/// Two have.
pub(crate) fn check_names(parts: &[Part], source: &syncarp_diag::Source) -> Result<(), Located> {
    let mut seen = std::collections::HashSet::new();
    // Parts without a prefix keep their own paths, which must differ in another way.
    let named = parts.iter().filter_map(|part| part.name.as_ref());
    let mut names = named.filter(|name| !name.value.is_empty());
    match names.find(|name| !seen.insert(name.value.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("two parts of one model are called `{}`", name.value);
            Err(Located::new(source, name.span.clone(), message))
        }
    }
}
