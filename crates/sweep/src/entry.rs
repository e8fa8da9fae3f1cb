//! Lists of layers as written: checked once for a block, expanded once for a model.

use std::ops::Range;

use syncarp_diag::Source;

use crate::error::Reports;
use crate::layer::Join;
use crate::spell;
use crate::template::{Scope, Template, check_key, compile, kind_mistake};
use crate::value::{Spanned, Table, Value};

/// One entry of a list of layers.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub name: Option<Spanned<Template>>,
    pub when: Option<Spanned<Template>>,
    pub body: Body,
    pub span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Layer {
        kind: Spanned<Template>,
        args: Option<Spanned<Template>>,
    },
    Branches {
        branches: Vec<Vec<Entry>>,
        join: Join,
    },
    Group {
        repeat: Option<Spanned<Template>>,
        layers: Vec<Entry>,
    },
}

/// Reads a list of layers. Entries with mistakes are reported and left out.
pub(crate) fn parse_list(
    value: &Spanned<Value>,
    what: &str,
    scope: &mut Scope,
    reports: &mut Reports,
) -> Vec<Entry> {
    match &value.value {
        Value::Array(items) => items
            .iter()
            .filter_map(|item| parse_entry(item, scope, reports))
            .collect(),
        other => {
            let found = kind_mistake(reports.source, &value.span, what, "an array", other);
            reports.push(found.with_help("write `[\"flatten\", { linear = 10 }]`"));
            Vec::new()
        }
    }
}

fn parse_entry(item: &Spanned<Value>, scope: &mut Scope, reports: &mut Reports) -> Option<Entry> {
    let span = item.span.clone();
    match &item.value {
        Value::Str(_) => {
            let kind = compile(item, scope, reports);
            let body = Body::Layer { kind, args: None };
            Some(Entry {
                name: None,
                when: None,
                body,
                span,
            })
        }
        Value::Table(table) => {
            let entry = Written { table, span: &span };
            if table.get("layers").is_some() || table.get("repeat").is_some() {
                entry.group(scope, reports)
            } else if table.get("branches").is_some() || table.get("join").is_some() {
                entry.branches(scope, reports)
            } else {
                entry.layer(scope, reports)
            }
        }
        other => {
            let found = kind_mistake(
                reports.source,
                &span,
                "a layer",
                "a string or a table",
                other,
            );
            reports.push(found.with_help("write `\"relu\"` or `{ linear = { out = 10 } }`"));
            None
        }
    }
}

/// An entry that is written as a table.
struct Written<'t> {
    table: &'t Table,
    span: &'t Range<usize>,
}

impl Written<'_> {
    fn compiled(
        &self,
        key: &str,
        scope: &mut Scope,
        reports: &mut Reports,
    ) -> Option<Spanned<Template>> {
        self.table
            .get(key)
            .map(|value| compile(value, scope, reports))
    }

    fn unknown(&self, place: &str, known: &[&str], reports: &mut Reports) {
        for mistake in spell::unknown_keys(reports.source, self.table, place, known) {
            reports.push(mistake);
        }
    }

    fn entry(&self, body: Body, scope: &mut Scope, reports: &mut Reports) -> Entry {
        let name = self.compiled("name", scope, reports);
        let when = self.compiled("when", scope, reports);
        Entry {
            name,
            when,
            body,
            span: self.span.clone(),
        }
    }

    fn layer(&self, scope: &mut Scope, reports: &mut Reports) -> Option<Entry> {
        let mut kinds = self
            .table
            .iter()
            .filter(|(key, _)| !["name", "when"].contains(&key.value.as_str()));
        let Some((kind, args)) = kinds.next() else {
            reports.say(
                self.span.clone(),
                "an entry without a layer",
                "write `{ linear = { out = 10 } }`, or `\"relu\"` for a layer without arguments",
            );
            return None;
        };
        if let Some((second, _)) = kinds.next() {
            let message = format!(
                "one entry holds one layer, not `{}` and `{}`",
                kind.value, second.value
            );
            let help = "give each layer braces of its own, and its arguments another pair: \
                `{ linear = { out = 10 } }`";
            reports.say(second.span.clone(), message, help);
            return None;
        }
        check_key(kind, reports);
        let kind_value = Spanned::new(Value::Str(kind.value.clone()), kind.span.clone());
        let body = Body::Layer {
            // The kind has been checked to be plain, so that this cannot report anything.
            kind: compile(&kind_value, scope, &mut Reports::new(reports.source)),
            args: Some(compile(args, scope, reports)),
        };
        Some(self.entry(body, scope, reports))
    }

    fn group(&self, scope: &mut Scope, reports: &mut Reports) -> Option<Entry> {
        let place = "a group of layers";
        self.unknown(place, &["repeat", "as", "when", "name", "layers"], reports);
        // The count is outside the repeat, while condition and name are asked for each time.
        let repeat = self.compiled("repeat", scope, reports);
        let index = self.index(repeat.is_some(), scope, reports);
        let Some(layers) = self.table.get("layers") else {
            let span = self.span.clone();
            reports.push(spell::missing_key(
                reports.source,
                span,
                "a repeat",
                "layers",
            ));
            return None;
        };
        if repeat.is_some() {
            scope.enter_repeat(&index);
        }
        let layers = parse_list(layers, "`layers`", scope, reports);
        let looped = repeat.is_some();
        let entry = self.entry(Body::Group { repeat, layers }, scope, reports);
        if looped {
            scope.leave_repeat();
        }
        Some(entry)
    }

    /// The name of the repeat's index.
    fn index(&self, repeats: bool, scope: &Scope, reports: &mut Reports) -> String {
        let Some((key, value)) = self.table.entry("as") else {
            if repeats && scope.is_setting("i") {
                let message = "the index `i` of this repeat hides the setting `i`";
                reports.say(
                    self.span.clone(),
                    message,
                    "write `as = \"k\"` beside `repeat`",
                );
            }
            return "i".to_owned();
        };
        let name = match &value.value {
            Value::Str(name) if crate::lex::is_name(name) => name.clone(),
            _ => {
                let message = "`as` must be a name of letters, digits and `_`";
                reports.say(value.span.clone(), message, "write `as = \"k\"`");
                return "i".to_owned();
            }
        };
        if !repeats {
            reports.say(
                key.span.clone(),
                "`as` without a `repeat`",
                "it names the repeat's index",
            );
        } else if scope.is_setting(&name) || crate::expr::RESERVED.contains(&name.as_str()) {
            let message = format!("`{name}` already has a meaning");
            reports.say(value.span.clone(), message, "give the index another name");
        }
        name
    }

    fn branches(&self, scope: &mut Scope, reports: &mut Reports) -> Option<Entry> {
        self.unknown(
            "branches",
            &["branches", "join", "dim", "name", "when"],
            reports,
        );
        let join = self
            .join(reports.source)
            .map_err(|mistake| reports.push(mistake))
            .ok();
        let mut lists = Vec::new();
        match self.table.get("branches") {
            Some(Spanned {
                value: Value::Array(items),
                ..
            }) if !items.is_empty() => {
                for item in items {
                    lists.push(parse_list(item, "a branch", scope, reports));
                }
            }
            found => {
                let span = found.map_or(self.span, |found| &found.span);
                let help = "write `branches = [[...], []]`; an empty branch is the identity";
                reports.say(
                    span.clone(),
                    "`branches` must be an array of lists of layers",
                    help,
                );
            }
        }
        let body = Body::Branches {
            branches: lists,
            join: join?,
        };
        Some(self.entry(body, scope, reports))
    }

    fn join(&self, source: &Source) -> Result<Join, syncarp_diag::Located> {
        const HELP: &str =
            "write `join = \"add\"`, `join = \"mul\"`, or `join = \"concat\", dim = 1`";
        let Some(join) = self.table.get("join") else {
            let mistake =
                spell::missing_key(source, self.span.clone(), "an entry of branches", "join");
            return Err(mistake.with_help(HELP));
        };
        let wrong = |span: &Range<usize>, message: String| {
            Err(syncarp_diag::Located::new(source, span.clone(), message).with_help(HELP))
        };
        match (join.value.as_str(), self.table.entry("dim")) {
            (Some("add"), None) => Ok(Join::Add),
            (Some("mul"), None) => Ok(Join::Mul),
            (Some(how @ ("add" | "mul")), Some((dim, _))) => {
                wrong(&dim.span, format!("a join by `{how}` takes no `dim`"))
            }
            (
                Some("concat"),
                Some((
                    _,
                    Spanned {
                        value: Value::Int(dim),
                        ..
                    },
                )),
            ) => Ok(Join::Concat { dim: *dim }),
            (Some("concat"), Some((_, other))) => {
                let message = format!("`dim` must be an integer, not {}", other.value.describe());
                wrong(&other.span, message)
            }
            (Some("concat"), None) => wrong(&join.span, "`concat` needs a `dim`".to_owned()),
            _ => wrong(
                &join.span,
                format!("branches cannot be joined by {}", join.value.describe()),
            ),
        }
    }
}
