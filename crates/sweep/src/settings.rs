//! Settings: what a model block varies, and over which values.

use std::ops::Range;

use syncarp_diag::Located;

use crate::MAX_MODELS;
use crate::error::Reports;
use crate::expr::RESERVED;
use crate::lex::is_name;
use crate::spell;
use crate::template::kind_mistake;
use crate::value::{Spanned, Table, Value};

/// A setting and the values it takes.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub name: Spanned<String>,
    pub domain: Domain,
}

#[derive(Debug, Clone)]
pub(crate) enum Domain {
    /// One value in every model.
    Fixed(Value),
    /// One of these, never none.
    List(Vec<Value>),
    /// So many whole numbers, `step` apart; never none.
    Whole { low: i64, step: u64, count: u64 },
    /// So many numbers, two at least, evenly spaced, on a logarithmic scale if so.
    Spaced {
        low: f64,
        high: f64,
        log: bool,
        count: u64,
    },
    /// One of these, in random combinations only.
    Choice(Vec<Value>),
    /// Any number between two, in random combinations only; evenly on a logarithmic scale if so.
    Between { low: f64, high: f64, log: bool },
}

impl Domain {
    /// Whether only a random combination can use it.
    pub fn is_random(&self) -> bool {
        matches!(self, Domain::Choice(_) | Domain::Between { .. })
    }

    /// The number of values, where they can be counted and are not always the same one.
    pub fn count(&self) -> Option<u64> {
        match self {
            Domain::List(values) | Domain::Choice(values) => Some(values.len() as u64),
            Domain::Whole { count, .. } | Domain::Spaced { count, .. } => Some(*count),
            Domain::Fixed(_) | Domain::Between { .. } => None,
        }
    }

    /// The value of this place, which is below the count; where there is no count, the first.
    pub fn at(&self, place: u64) -> Value {
        match self {
            Domain::Fixed(value) => value.clone(),
            Domain::List(values) | Domain::Choice(values) => values[place as usize].clone(),
            Domain::Whole { low, step, .. } => Value::Int(low.wrapping_add_unsigned(place * step)),
            Domain::Between { low, .. } => Value::Float(*low),
            // The ends are as written, whatever the way between them rounds to.
            Domain::Spaced { low, .. } if place == 0 => Value::Float(*low),
            Domain::Spaced { high, count, .. } if place + 1 == *count => Value::Float(*high),
            Domain::Spaced {
                low,
                high,
                log,
                count,
            } => Value::Float(between(
                *low,
                *high,
                *log,
                place as f64 / (count - 1) as f64,
            )),
        }
    }
}

/// The forms that a setting's table may have.
const FORMS: &str = "write one of `{ range = [1, 4] }`, `{ range = [0.0, 1.0], count = 5 }`, \
    `{ log-range = [1e-3, 1e-1], count = 3 }`, `{ uniform = [0.0, 0.5] }`, \
    `{ log-uniform = [1e-4, 1e-1] }`, `{ choice = [1, 2] }`";

/// Reads a block's `settings`, leaving out those with mistakes.
pub(crate) fn parse(value: Option<&Spanned<Value>>, reports: &mut Reports) -> Vec<Setting> {
    let table = match value {
        None => return Vec::new(),
        Some(Spanned {
            value: Value::Table(table),
            ..
        }) => table,
        Some(other) => {
            let source = reports.source;
            let mistake = kind_mistake(source, &other.span, "`settings`", "a table", &other.value);
            reports.push(mistake.with_help("write `settings.width = [32, 64]`"));
            return Vec::new();
        }
    };
    let mut settings = Vec::with_capacity(table.len());
    for (name, value) in table.iter() {
        check_name(name, reports);
        check_plain(value, reports);
        match domain(&name.value, value, reports) {
            Ok(domain) => settings.push(Setting {
                name: name.clone(),
                domain,
            }),
            Err(mistake) => {
                reports.push(mistake);
                // It stays known, lest every use of it be a mistake too.
                let domain = Domain::Fixed(Value::Bool(false));
                settings.push(Setting {
                    name: name.clone(),
                    domain,
                });
            }
        }
    }
    settings
}

fn check_name(name: &Spanned<String>, reports: &mut Reports) {
    let text = &name.value;
    if RESERVED.contains(&text.as_str()) {
        let message = format!("`{text}` has a meaning of its own in expressions");
        reports.say(name.span.clone(), message, "give the setting another name");
    } else if !is_name(text) || text.len() > 64 {
        let message = format!("`{text}` cannot name a setting");
        let help =
            "names are of at most 64 letters, digits and `_`; a `-` would be a minus in `${...}`";
        reports.say(name.span.clone(), message, help);
    }
}

/// Reports texts with `${...}`: settings are what expressions are made of.
fn check_plain(value: &Spanned<Value>, reports: &mut Reports) {
    match &value.value {
        Value::Str(text) if text.contains("${") => {
            let help = "write the expression where the setting is used";
            reports.say(
                value.span.clone(),
                "a setting cannot contain `${...}`",
                help,
            );
        }
        Value::Array(items) => items.iter().for_each(|item| check_plain(item, reports)),
        Value::Table(table) => table
            .iter()
            .for_each(|(_, item)| check_plain(item, reports)),
        _ => {}
    }
}

fn domain(name: &str, value: &Spanned<Value>, reports: &Reports) -> Result<Domain, Located> {
    match &value.value {
        Value::Array(items) => Ok(Domain::List(list(name, items, &value.span, reports)?)),
        Value::Table(table) => Form {
            name,
            table,
            span: &value.span,
            reports,
        }
        .domain(),
        other => Ok(Domain::Fixed(other.clone())),
    }
}

fn list(
    name: &str,
    items: &[Spanned<Value>],
    span: &Range<usize>,
    reports: &Reports,
) -> Result<Vec<Value>, Located> {
    if items.is_empty() {
        let message = format!("the setting `{name}` has no values");
        return Err(Located::new(reports.source, span.clone(), message));
    }
    Ok(items.iter().map(|item| item.value.clone()).collect())
}

/// A setting that is written as a table.
struct Form<'f> {
    name: &'f str,
    table: &'f Table,
    span: &'f Range<usize>,
    reports: &'f Reports<'f>,
}

impl Form<'_> {
    fn wrong(&self, span: &Range<usize>, message: impl Into<String>) -> Located {
        Located::new(self.reports.source, span.clone(), message)
    }

    fn domain(&self) -> Result<Domain, Located> {
        const KINDS: [&str; 5] = ["range", "log-range", "uniform", "log-uniform", "choice"];
        let mut kinds = self
            .table
            .iter()
            .filter(|(key, _)| KINDS.contains(&key.value.as_str()));
        let (Some((kind, of)), None) = (kinds.next(), kinds.next()) else {
            let message = format!("the setting `{}` is of no known form", self.name);
            return Err(self.wrong(self.span, message).with_help(FORMS));
        };
        let known: &[&str] = match kind.value.as_str() {
            "range" => &["range", "step", "count"],
            "log-range" => &["log-range", "count"],
            "uniform" => &["uniform"],
            "log-uniform" => &["log-uniform"],
            _ => &["choice"],
        };
        let place = format!("the setting `{}`", self.name);
        if let Some(mistake) =
            spell::unknown_keys(self.reports.source, self.table, &place, known).next()
        {
            return Err(mistake);
        }
        match kind.value.as_str() {
            "range" if self.table.get("count").is_none() => self.whole_range(of),
            "range" => {
                if let Some((step, _)) = self.table.entry("step") {
                    return Err(
                        self.wrong(&step.span, "a range has a `step` or a `count`, not both")
                    );
                }
                let (low, high) = self.bounds(of, false)?;
                self.spaced(low, high, false)
            }
            "log-range" => {
                let (low, high) = self.bounds(of, true)?;
                self.spaced(low, high, true)
            }
            "choice" => match &of.value {
                Value::Array(items) => Ok(Domain::Choice(list(
                    self.name,
                    items,
                    &of.span,
                    self.reports,
                )?)),
                other => {
                    let source = self.reports.source;
                    Err(kind_mistake(
                        source, &of.span, "`choice`", "an array", other,
                    ))
                }
            },
            kind => {
                let log = kind == "log-uniform";
                let (low, high) = self.bounds(of, log)?;
                Ok(Domain::Between { low, high, log })
            }
        }
    }

    fn ends<'v>(&self, of: &'v Spanned<Value>) -> Result<&'v [Spanned<Value>; 2], Located> {
        if let Value::Array(items) = &of.value
            && let Ok(ends) = <&[Spanned<Value>; 2]>::try_from(items.as_slice())
        {
            return Ok(ends);
        }
        Err(self.wrong(&of.span, "expected the two ends, `[low, high]`"))
    }

    fn bounds(&self, of: &Spanned<Value>, positive: bool) -> Result<(f64, f64), Located> {
        let ends = self.ends(of)?;
        let number = |end: &Spanned<Value>| {
            let number = end.value.as_f64().filter(|number| number.is_finite());
            number.ok_or_else(|| self.wrong(&end.span, "expected a finite number"))
        };
        let (low, high) = (number(&ends[0])?, number(&ends[1])?);
        if positive && low <= 0.0 {
            return Err(self.wrong(
                &ends[0].span,
                "a logarithmic scale has only numbers above 0",
            ));
        }
        if low > high {
            return Err(self.wrong(&of.span, "the low end is above the high end"));
        }
        if !(high - low).is_finite() {
            return Err(self.wrong(&of.span, "the ends are too far apart"));
        }
        Ok((low, high))
    }

    /// Whole numbers from one end to the other, both included where the step meets them.
    fn whole_range(&self, of: &Spanned<Value>) -> Result<Domain, Located> {
        let ends = self.ends(of)?;
        let whole = |end: &Spanned<Value>| match end.value {
            Value::Int(number) => Ok(number),
            _ => Err(self
                .wrong(&end.span, "a range without a `count` is of whole numbers")
                .with_help("write `{ range = [0.0, 1.0], count = 5 }` for five numbers")),
        };
        let (low, high) = (whole(&ends[0])?, whole(&ends[1])?);
        let step = match self.table.get("step") {
            None => 1,
            Some(Spanned {
                value: Value::Int(step),
                ..
            }) if *step > 0 => step.unsigned_abs(),
            Some(other) => {
                return Err(self.wrong(&other.span, "a step is a whole number above 0"));
            }
        };
        if low > high {
            return Err(self.wrong(&of.span, "the low end is above the high end"));
        }
        match (high.abs_diff(low) / step).checked_add(1) {
            Some(count) => Ok(Domain::Whole { low, step, count }),
            None => Err(self.wrong(&of.span, "the ends are too far apart")),
        }
    }

    /// `count` numbers between two, both included.
    fn spaced(&self, low: f64, high: f64, log: bool) -> Result<Domain, Located> {
        let Some(count) = self.table.get("count") else {
            let message = format!("the setting `{}` has no `count`", self.name);
            return Err(self
                .wrong(self.span, message)
                .with_help("how many numbers are wanted?"));
        };
        match count.value {
            Value::Int(number) if (2..=MAX_MODELS as i64).contains(&number) => Ok(Domain::Spaced {
                low,
                high,
                log,
                count: number.unsigned_abs(),
            }),
            _ => {
                let message = format!("a count is a whole number from 2 to {MAX_MODELS}");
                Err(self.wrong(&count.span, message))
            }
        }
    }
}

/// The number at a share of the way from `low` to `high`, to twelve significant digits: that many a
/// person can copy, and they do not depend on how a platform rounds logarithms.
pub(crate) fn between(low: f64, high: f64, log: bool, share: f64) -> f64 {
    let exact = if log {
        (low.ln() + (high.ln() - low.ln()) * share).exp()
    } else {
        low + (high - low) * share
    };
    format!("{exact:.11e}")
        .parse()
        .unwrap_or(exact)
        .clamp(low, high)
}
