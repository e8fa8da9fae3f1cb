//! How a model is trained and judged, with types.

use std::ops::Range;

use syncarp_diag::{Located, Source};

use crate::args::Args;
use crate::error::Reports;
use crate::spell;
use crate::template::kind_mistake;
use crate::value::{Spanned, Table, Value};

/// The keys of an evaluator.
pub(crate) const KEYS: [&str; 7] = [
    "loss",
    "metrics",
    "optimizer",
    "schedule",
    "clip-norm",
    "epochs",
    "seed",
];

/// How a model is trained and judged. Names of losses, metrics, optimizers and schedules are free
/// here; whoever has the registry checks them and their options.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatorSpec {
    /// The loss.
    pub loss: Named,
    /// The metrics, in the order in which they are shown.
    pub metrics: Vec<Named>,
    /// The optimizer.
    pub optimizer: Named,
    /// How the learning rate changes; constant when absent.
    pub schedule: Option<Named>,
    /// The norm that gradients are clipped to, above 0 and finite; none when absent.
    pub clip_norm: Option<f64>,
    /// How many times the model sees the training data, at least 1.
    pub epochs: u32,
    /// The seed of the initial weights and of dropout.
    pub seed: u64,
}

/// A name and options: of a loss, a metric, an optimizer, a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The name as written.
    pub name: Spanned<String>,
    /// The options; never positional.
    pub options: Args,
}

impl EvaluatorSpec {
    /// Reads a resolved evaluator table.
    ///
    /// `schedule = false` and `clip-norm = false` mean none, so that a model can do without a
    /// default.
    ///
    /// # Errors
    /// Every mistake in it: unknown keys, keys that are missing, values of a wrong kind.
    pub fn parse(table: &Spanned<Table>, source: &Source) -> Result<Self, Vec<Located>> {
        let mut reports = Reports::new(source);
        check_keys(&table.value, &mut reports);
        let mut reader = Reader {
            table,
            reports: &mut reports,
        };
        let loss = reader.named("loss", true);
        let metrics = reader.metrics();
        let optimizer = reader.named("optimizer", true);
        let schedule = reader.named("schedule", false);
        let clip_norm = reader.clip_norm();
        let epochs = reader.whole("epochs", 1, i64::from(u32::MAX), None);
        let seed = reader.whole("seed", 0, i64::MAX, Some(0));
        reports.into_result()?;
        match (loss, optimizer, epochs, seed) {
            (Some(loss), Some(optimizer), Some(epochs), Some(seed)) => Ok(EvaluatorSpec {
                loss,
                metrics,
                optimizer,
                schedule,
                clip_norm,
                epochs: u32::try_from(epochs).unwrap_or(u32::MAX),
                seed: seed.unsigned_abs(),
            }),
            // Each of these was reported where it was missed.
            _ => Err(vec![Located::new(
                source,
                table.span.clone(),
                "the evaluator is incomplete",
            )]),
        }
    }
}

/// Reports the keys of an evaluator that are not known.
pub(crate) fn check_keys(table: &Table, reports: &mut Reports) {
    for mistake in spell::unknown_keys(reports.source, table, "the evaluator", &KEYS) {
        reports.push(mistake);
    }
}

struct Reader<'r, 's> {
    table: &'r Spanned<Table>,
    reports: &'r mut Reports<'s>,
}

impl<'r> Reader<'r, '_> {
    fn get(&mut self, key: &str, needed: bool) -> Option<&'r Spanned<Value>> {
        let found = self.table.value.get(key);
        if found.is_none() && needed {
            let span = self.table.span.clone();
            let mistake = spell::missing_key(self.reports.source, span, "the evaluator", key);
            self.reports.push(mistake);
        }
        found
    }

    fn wrong(&mut self, span: &Range<usize>, key: &str, wanted: &str, found: &Value) {
        let source = self.reports.source;
        self.reports.push(kind_mistake(
            source,
            span,
            &format!("`{key}`"),
            wanted,
            found,
        ));
    }

    fn named(&mut self, key: &str, needed: bool) -> Option<Named> {
        let value = self.get(key, needed)?;
        if !needed && value.value == Value::Bool(false) {
            return None;
        }
        self.one(key, value)
    }

    fn one(&mut self, key: &str, value: &Spanned<Value>) -> Option<Named> {
        let span = value.span.clone();
        match &value.value {
            Value::Str(name) => {
                let name = Spanned::new(name.clone(), span.clone());
                Some(Named {
                    name,
                    options: Args {
                        span,
                        ..Args::default()
                    },
                })
            }
            Value::Table(table) => {
                let named = table
                    .iter()
                    .filter(|(key, _)| key.value != "name")
                    .cloned()
                    .collect();
                let options = Args {
                    positional: None,
                    named,
                    span: span.clone(),
                };
                match table.get("name") {
                    Some(Spanned {
                        value: Value::Str(name),
                        span,
                    }) => Some(Named {
                        name: Spanned::new(name.clone(), span.clone()),
                        options,
                    }),
                    Some(other) => {
                        let what = format!("{key}.name");
                        self.wrong(&other.span, &what, "a string", &other.value);
                        None
                    }
                    None => {
                        let place = format!("`{key}`");
                        let source = self.reports.source;
                        self.reports.push(
                            spell::missing_key(source, span, &place, "name")
                                .with_help(format!("write `{key} = {{ name = \"...\", ... }}`")),
                        );
                        None
                    }
                }
            }
            other => {
                self.wrong(&span, key, "a name or a table with a `name`", other);
                None
            }
        }
    }

    fn metrics(&mut self) -> Vec<Named> {
        match self.get("metrics", false) {
            None => Vec::new(),
            Some(Spanned {
                value: Value::Array(items),
                ..
            }) => items
                .iter()
                .filter_map(|item| self.one("metrics", item))
                .collect(),
            Some(one) => self.one("metrics", one).into_iter().collect(),
        }
    }

    fn clip_norm(&mut self) -> Option<f64> {
        let value = self.get("clip-norm", false)?;
        if value.value == Value::Bool(false) {
            return None;
        }
        let norm = value
            .value
            .as_f64()
            .filter(|norm| norm.is_finite() && *norm > 0.0);
        if norm.is_none() {
            self.wrong(&value.span, "clip-norm", "a number above 0", &value.value);
        }
        norm
    }

    /// A whole number from `low` to `high`; needed where there is no default.
    fn whole(&mut self, key: &str, low: i64, high: i64, default: Option<i64>) -> Option<i64> {
        let Some(value) = self.get(key, default.is_none()) else {
            return default;
        };
        match value.value {
            Value::Int(number) if (low..=high).contains(&number) => Some(number),
            ref other => {
                let wanted = format!("a whole number of at least {low}");
                self.wrong(&value.span, key, &wanted, other);
                None
            }
        }
    }
}
