//! Plain values with the places they were written at.

use std::fmt;
use std::ops::Range;

/// Something and the bytes of the sweep file that it came from.
///
/// Equality looks at the value alone: equal values written at different places are equal.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// The thing itself.
    pub value: T,
    /// Where it was written, in bytes of the sweep file.
    pub span: Range<usize>,
}

impl<T> Spanned<T> {
    /// A value that was written at `span`.
    pub fn new(value: T, span: Range<usize>) -> Self {
        Spanned { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A resolved value: no `${...}` is left in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A number with a fraction or exponent; may be infinite or not a number, as TOML allows.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A text.
    Str(String),
    /// A list of values of any kinds.
    Array(Vec<Spanned<Value>>),
    /// Keys and values in the file's order.
    Table(Table),
}

/// Keys and values in the file's order; no key occurs twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    pub(crate) entries: Vec<(Spanned<String>, Spanned<Value>)>,
}

impl Value {
    /// What kind of value it is, with its article: `an integer`, `a string` and so on.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Bool(_) => "a boolean",
            Value::Str(_) => "a string",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// The text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number as a float, where it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The table, where it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The value as JSON. JSON has no infinities, so these become the strings `inf`, `-inf`, `nan`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Int(number) => (*number).into(),
            Value::Float(number) => serde_json::Number::from_f64(*number)
                .map_or_else(|| float_text(*number).into(), serde_json::Value::Number),
            Value::Bool(flag) => (*flag).into(),
            Value::Str(text) => text.as_str().into(),
            Value::Array(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Value::Table(table) => table.to_json(),
        }
    }

    /// Kind and value in a few words, for messages: `the string "relu"`, `the integer 3`.
    pub(crate) fn describe(&self) -> String {
        match self {
            Value::Int(number) => format!("the integer {number}"),
            Value::Float(number) => format!("the float {}", float_text(*number)),
            Value::Bool(flag) => format!("the boolean {flag}"),
            Value::Str(text) if text.chars().count() <= 40 => format!("the string \"{text}\""),
            other => other.kind().to_owned(),
        }
    }

    /// The number of values in it, itself included, texts counted by their length: a measure of memory.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Value::Str(text) => 1 + text.len() as u64 / 32,
            Value::Array(items) => 1 + items.iter().map(|item| item.value.weight()).sum::<u64>(),
            Value::Table(table) => 1 + table.weight(),
            _ => 1,
        }
    }
}

/// Writes the value as it would appear inside a text: strings bare, arrays in brackets.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(number) => write!(f, "{number}"),
            Value::Float(number) => f.write_str(&float_text(*number)),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Str(text) => f.write_str(text),
            Value::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    item.value.fmt(f)?;
                }
                f.write_str("]")
            }
            Value::Table(table) => {
                f.write_str("{")?;
                for (index, (key, value)) in table.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { " " })?;
                    write!(f, "{} = {}", key.value, value.value)?;
                }
                f.write_str(" }")
            }
        }
    }
}

/// The shortest text that reads back as the same float, with a point or an exponent in it.
fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    format!("{number:?}")
}

impl Table {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Spanned<Value>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key as written, with its place, and its value.
    pub fn entry(&self, key: &str) -> Option<&(Spanned<String>, Spanned<Value>)> {
        self.entries.iter().find(|(name, _)| name.value == key)
    }

    /// All keys and values in the file's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Spanned<String>, Spanned<Value>)> {
        self.entries.iter()
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The table as a JSON object, keys in the file's order.
    pub fn to_json(&self) -> serde_json::Value {
        self.iter()
            .map(|(key, value)| (key.value.clone(), value.value.to_json()))
            .collect()
    }

    pub(crate) fn weight(&self) -> u64 {
        let key = |key: &str| 1 + key.len() as u64 / 32;
        self.iter()
            .map(|(name, value)| key(&name.value) + value.value.weight())
            .sum()
    }
}

impl FromIterator<(Spanned<String>, Spanned<Value>)> for Table {
    /// The caller sees to it that no key occurs twice.
    fn from_iter<I: IntoIterator<Item = (Spanned<String>, Spanned<Value>)>>(entries: I) -> Self {
        Table {
            entries: entries.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<T>(value: T) -> Spanned<T> {
        Spanned::new(value, 0..0)
    }

    #[test]
    fn floats_print_shortest_and_stay_floats() {
        let texts: Vec<String> = [1.0, 0.1, 1e-7, 1e20, -0.5, f64::INFINITY, f64::NAN]
            .into_iter()
            .map(|number| Value::Float(number).to_string())
            .collect();
        assert_eq!(texts, ["1.0", "0.1", "1e-7", "1e20", "-0.5", "inf", "nan"]);
    }

    #[test]
    fn equality_ignores_places() {
        assert_eq!(Spanned::new(3, 0..1), Spanned::new(3, 7..9));
        assert_ne!(Spanned::new(3, 0..1), Spanned::new(4, 0..1));
    }

    #[test]
    fn json_keeps_the_order_of_keys_and_has_words_for_infinities() {
        let table: Table = [
            (at("z".to_owned()), at(Value::Float(f64::INFINITY))),
            (
                at("a".to_owned()),
                at(Value::Array(vec![at(Value::Int(1)), at(Value::Bool(true))])),
            ),
        ]
        .into_iter()
        .collect();
        assert_eq!(table.to_json().to_string(), r#"{"z":"inf","a":[1,true]}"#);
        assert_eq!(
            Value::Table(table).to_string(),
            "{ z = inf, a = [1, true] }"
        );
    }
}
