//! Reports by place: one entry a model, in the order of the assembly.
//!
//! Our own engines key every measurement by model. A trainer in another process that was written
//! for NNI knows only how many models it trains, and reports a list. So that such a list cannot
//! do harm, an entry concerns its own model alone, and a list of the wrong shape nobody.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Attempt, ModelId, Point, RawMetric, RawValue};

/// What an engine reports at one point for all models of an assembly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// One entry a model.
    Entries(Vec<Entry>),
    /// Something that is not a list; the text says what, for people.
    Other(String),
}

/// One model's part of a report: what was measured, by name. Never empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entry(Vec<(String, RawValue)>);

/// What is wrong with the shape of a report. The fault is the engine's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportFault {
    /// Nothing that could be taken apart.
    #[error("expected a list with one entry a model, found {found}")]
    NotAList {
        /// What it was.
        found: String,
    },
    /// Nobody knows which entry is whose.
    #[error("expected a list of {expected} entries, one a model, found one of {found}")]
    WrongLength {
        /// How many models the assembly has.
        expected: usize,
        /// How many entries the report has.
        found: usize,
    },
}

/// The metric that a bare number is a value of.
const DEFAULT: &str = "default";

impl Report {
    /// Keys a report by model. `members` are all models of the assembly in the plan's order, those
    /// that have ended included.
    ///
    /// # Errors
    /// Where the report is not a list of as many entries.
    pub fn keyed(
        self,
        at: Point,
        members: impl ExactSizeIterator<Item = (ModelId, Attempt)>,
    ) -> Result<Vec<RawMetric>, ReportFault> {
        let entries = match self {
            Report::Entries(entries) => entries,
            Report::Other(found) => return Err(ReportFault::NotAList { found }),
        };
        let (expected, found) = (members.len(), entries.len());
        if expected != found {
            return Err(ReportFault::WrongLength { expected, found });
        }
        let keyed = |((model, attempt), Entry(values))| {
            let values: Vec<(String, RawValue)> = values;
            values.into_iter().map(move |(name, value)| RawMetric {
                model,
                attempt,
                name,
                at,
                value,
            })
        };
        Ok(members.zip(entries).flat_map(keyed).collect())
    }
}

/// Reads a report as it came from another process. A list is a report of entries, and everything
/// else is one of the wrong shape.
impl From<&Value> for Report {
    fn from(value: &Value) -> Self {
        match value {
            Value::Array(entries) => Report::Entries(entries.iter().map(Entry::from).collect()),
            other => Report::Other(describe(other)),
        }
    }
}

/// Reads one model's entry: a number, which is the metric `default`; or an object with a number
/// at the key `default`, where other keys that hold numbers are metrics of their own names and
/// the rest is left out. `true` and `false` are 1 and 0, and the texts `NaN`, `Infinity` and
/// `-Infinity` are the numbers for which JSON has no other word. Anything else is a value of
/// `default` that is not a number, and will fail its model.
impl From<&Value> for Entry {
    fn from(value: &Value) -> Self {
        let (default, others) = match value {
            Value::Object(map) => match map.get(DEFAULT) {
                None => {
                    let found = format!("an object without the key `{DEFAULT}`");
                    return Entry::single(RawValue::Other(found));
                }
                Some(default) => (default, Some(map)),
            },
            other => (other, None),
        };
        let Some(default) = number(default) else {
            return Entry::single(RawValue::Other(describe(default)));
        };
        let mut entry = Entry::single(RawValue::Number(default));
        let others = others.into_iter().flatten();
        let others = others.filter(|(name, _)| name.as_str() != DEFAULT);
        entry.0.extend(others.filter_map(|(name, value)| {
            number(value).map(|value| (name.clone(), RawValue::Number(value)))
        }));
        entry
    }
}

impl Entry {
    /// What was measured, by name: numbers, or one bad value of `default`.
    pub fn values(&self) -> &[(String, RawValue)] {
        &self.0
    }

    fn single(value: RawValue) -> Self {
        Entry(vec![(DEFAULT.to_owned(), value)])
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(f64::from(*truth)),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value for people, however large it is.
fn describe(value: &Value) -> String {
    const SHOWN: usize = 40;
    match value {
        Value::Null => "null".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => match text.char_indices().nth(SHOWN) {
            None => format!("the text `{text}`"),
            Some((end, _)) => format!("a text that begins `{}`", &text[..end]),
        },
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keyed(report: Value, models: u32) -> Result<Vec<String>, String> {
        let members = (0..models).map(|model| (ModelId(model), Attempt(1)));
        let metrics = Report::from(&report).keyed(Point::Final, members);
        let show = |raw: RawMetric| match raw.value {
            RawValue::Number(value) => format!("{} {} {value}", raw.model.0, raw.name),
            RawValue::Other(found) => format!("{} {} is {found}", raw.model.0, raw.name),
        };
        metrics
            .map(|metrics| metrics.into_iter().map(show).collect())
            .map_err(|fault| fault.to_string())
    }

    #[track_caller]
    fn entry(value: Value, expected: &[&str]) {
        let expected: Vec<String> = expected.iter().map(|e| format!("0 {e}")).collect();
        assert_eq!(keyed(json!([value]), 1), Ok(expected));
    }

    #[test]
    fn an_entry_is_a_number_or_has_one_by_default() {
        entry(json!(0.25), &["default 0.25"]);
        entry(json!(-3), &["default -3"]);
        entry(json!(true), &["default 1"]);
        entry(json!("NaN"), &["default NaN"]);
        entry(json!("-Infinity"), &["default -inf"]);
        let many = json!({"b": 1, "default": false, "text": "x", "a": 2, "list": [1]});
        entry(many, &["default 0", "b 1", "a 2"]);
    }

    #[test]
    fn any_other_entry_is_a_bad_value_of_its_model() {
        entry(json!(null), &["default is null"]);
        entry(json!([0.5]), &["default is a list"]);
        entry(json!("0.5"), &["default is the text `0.5`"]);
        entry(json!({"default": {}}), &["default is an object"]);
        let without = "default is an object without the key `default`";
        entry(json!({"loss": 0.5}), &[without]);
        entry(json!({}), &[without]);
        let long = format!("default is a text that begins `{}`", "é".repeat(40));
        entry(json!("é".repeat(1_000_000)), &[&long]);
    }

    #[test]
    fn entries_belong_to_places() {
        let report = json!([0.5, {"default": 1, "x": 2}, null]);
        let expected = ["0 default 0.5", "1 default 1", "1 x 2", "2 default is null"];
        assert_eq!(keyed(report, 3), Ok(expected.map(String::from).to_vec()));
        assert_eq!(keyed(json!([]), 0), Ok(vec![]));
    }

    #[test]
    fn a_report_of_the_wrong_shape_is_nobodys() {
        let fault = |report, models| keyed(report, models).expect_err("a wrong shape");
        assert_eq!(
            fault(json!([1, 2]), 3),
            "expected a list of 3 entries, one a model, found one of 2"
        );
        for (report, found) in [
            (json!(0.5), "0.5"),
            (json!(null), "null"),
            (json!("ab"), "the text `ab`"),
            (json!({"a": 1}), "an object"),
            (json!(true), "true"),
        ] {
            let expected = format!("expected a list with one entry a model, found {found}");
            assert_eq!(fault(report, 2), expected);
        }
    }

    #[test]
    fn a_report_comes_back_from_its_text_to_the_bit() {
        let report = Report::from(&json!([0.1, "NaN", {"default": 1e-310, "x": 5e-324}, null]));
        let text = serde_json::to_string(&report).expect("a report is text");
        assert_eq!(
            text,
            r#"{"entries":[[["default",{"number":"0.1"}]],[["default",{"number":"NaN"}]],[["default",{"number":"1e-310"}],["x",{"number":"5e-324"}]],[["default",{"other":"null"}]]]}"#
        );
        let back: Report = serde_json::from_str(&text).expect("it was a report");
        assert_eq!(format!("{back:?}"), format!("{report:?}"));
    }
}
