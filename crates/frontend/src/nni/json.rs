//! JSON with the places of all that is in it.
//!
//! `serde_json` does the reading. Its raw values borrow the text, so where one begins says where it
//! was written; keys come one by one, so that one that is there twice is seen.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use syncarp_diag::{Located, Source};
use syncarp_sweep::Spanned;

/// How deep arrays and objects may nest: deeper input is refused, never recursed into.
const MAX_DEPTH: usize = 48;

/// Keys and values in the file's order; no key occurs twice.
pub(crate) type Object = Vec<(Spanned<String>, Spanned<Json>)>;

/// A value as written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    Str(String),
    Array(Vec<Spanned<Json>>),
    Object(Object),
}

impl Json {
    /// What kind of value it is, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Int(_) => "an integer",
            Json::Float(_) => "a number that is no 64-bit integer",
            Json::Str(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }

    /// Whether it says nothing: null, or an array or object without anything in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Json::Null => true,
            Json::Array(items) => items.is_empty(),
            Json::Object(object) => object.is_empty(),
            _ => false,
        }
    }

    /// The same without places.
    pub fn plain(&self) -> serde_json::Value {
        match self {
            Json::Null => serde_json::Value::Null,
            Json::Bool(flag) => (*flag).into(),
            Json::Int(number) => (*number).into(),
            Json::Float(number) => (*number).into(),
            Json::Str(text) => text.as_str().into(),
            Json::Array(items) => items.iter().map(|item| item.value.plain()).collect(),
            Json::Object(object) => plain(object),
        }
    }
}

/// The value of a key.
pub(crate) fn get<'o>(object: &'o Object, key: &str) -> Option<&'o Spanned<Json>> {
    let found = object.iter().find(|(name, _)| name.value == key);
    found.map(|(_, value)| value)
}

/// An object without places.
pub(crate) fn plain(object: &Object) -> serde_json::Value {
    let entries = object.iter();
    entries
        .map(|(key, value)| (key.value.clone(), value.value.plain()))
        .collect()
}

/// Reads a text that is one JSON value.
///
/// # Errors
/// Where it is none, a key is there twice, or it nests too deep.
pub(crate) fn read(source: &Source) -> Result<Spanned<Json>, Located> {
    let reader = Reader { source };
    let whole: &RawValue =
        serde_json::from_str(&source.text).map_err(|error| reader.mistake(&source.text, &error))?;
    reader.value(whole.get(), 0)
}

struct Reader<'s> {
    source: &'s Source,
}

impl<'s> Reader<'s> {
    /// Where a part of the text lies in it.
    fn span(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr() as usize - self.source.text.as_ptr() as usize;
        start..start + part.len()
    }

    /// What is wrong with a part of the text.
    fn mistake(&self, part: &str, error: &serde_json::Error) -> Located {
        let Range { start, end } = self.span(part);
        // A part on line 1 begins there; its columns are bytes, counted from 1.
        let line = error.line().max(1);
        let lines = part.split_inclusive('\n').take(line - 1);
        let before: usize = lines.map(str::len).sum();
        let at = (start + before + error.column().saturating_sub(1)).min(end);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let span = at..(at + 1).min(end);
        Located::new(self.source, span, format!("no sound JSON: {message}"))
    }

    fn value(&self, text: &'s str, depth: usize) -> Result<Spanned<Json>, Located> {
        let span = self.span(text);
        if depth > MAX_DEPTH {
            let message = format!("nests more than {MAX_DEPTH} deep");
            return Err(Located::new(
                self.source,
                span.start..span.start + 1,
                message,
            ));
        }
        let wrong = |error: serde_json::Error| self.mistake(text, &error);
        let whole = |error: serde_json::Error| Located {
            span: span.start..span.end.min(span.start + 80),
            ..self.mistake(text, &error)
        };
        let value = match text.as_bytes().first() {
            Some(b'n') => Json::Null,
            Some(b't') => Json::Bool(true),
            Some(b'f') => Json::Bool(false),
            Some(b'"') => Json::Str(serde_json::from_str(text).map_err(whole)?),
            Some(b'[') => {
                let items = read_parts(text, Items(Vec::new())).map_err(wrong)?;
                let read = |item: &'s RawValue| self.value(item.get(), depth + 1);
                Json::Array(items.into_iter().map(read).collect::<Result<_, _>>()?)
            }
            Some(b'{') => Json::Object(self.object(text, depth)?),
            _ => match text.parse() {
                Ok(number) => Json::Int(number),
                Err(_) => Json::Float(serde_json::from_str(text).map_err(whole)?),
            },
        };
        Ok(Spanned::new(value, span))
    }

    fn object(&self, text: &'s str, depth: usize) -> Result<Object, Located> {
        let wrong = |error: serde_json::Error| self.mistake(text, &error);
        let entries = read_parts(text, Entries(Vec::new())).map_err(wrong)?;
        let mut object = Object::with_capacity(entries.len());
        let mut seen = std::collections::HashSet::with_capacity(entries.len());
        for (key, value) in entries {
            let name: String =
                serde_json::from_str(key.get()).map_err(|error| self.mistake(key.get(), &error))?;
            let span = self.span(key.get());
            if !seen.insert(name.clone()) {
                let message = format!("the key {} is there twice", shown(&name));
                return Err(Located::new(self.source, span, message));
            }
            object.push((
                Spanned::new(name, span),
                self.value(value.get(), depth + 1)?,
            ));
        }
        Ok(object)
    }
}

/// A name as it is shown in messages: not too much of it.
pub(crate) fn shown(name: &str) -> String {
    match name.char_indices().nth(80) {
        Some((end, _)) => format!("`{}...`", &name[..end]),
        None => format!("`{name}`"),
    }
}

/// Reads the parts of an array or an object, each as it is written.
fn read_parts<'s, V: Visitor<'s>>(text: &'s str, visitor: V) -> serde_json::Result<V::Value> {
    serde_json::Deserializer::from_str(text).deserialize_any(visitor)
}

struct Items<'s>(Vec<&'s RawValue>);

impl<'s> Visitor<'s> for Items<'s> {
    type Value = Vec<&'s RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'s>>(mut self, mut items: A) -> Result<Self::Value, A::Error> {
        while let Some(item) = items.next_element()? {
            self.0.push(item);
        }
        Ok(self.0)
    }
}

struct Entries<'s>(Vec<(&'s RawValue, &'s RawValue)>);

impl<'s> Visitor<'s> for Entries<'s> {
    type Value = Vec<(&'s RawValue, &'s RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'s>>(mut self, mut entries: A) -> Result<Self::Value, A::Error> {
        while let Some(entry) = entries.next_entry()? {
            self.0.push(entry);
        }
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Spanned<Json>, String> {
        read(&Source::new("t.json", text)).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_knows_where_it_is() {
        let text = "{ \"a\": [1, -2.5],\n  \"b\\n\": {\"c\": null} }";
        let Json::Object(object) = parse(text).unwrap().value else {
            panic!("an object");
        };
        let (a, items) = &object[0];
        assert_eq!(&text[a.span.clone()], "\"a\"");
        let Json::Array(items) = &items.value else {
            panic!("an array");
        };
        assert_eq!(&text[items[1].span.clone()], "-2.5");
        assert_eq!(items[1].value, Json::Float(-2.5));
        assert_eq!(object[1].0.value, "b\n");
        let inner = get(&object, "b\n").unwrap();
        assert_eq!(&text[inner.span.clone()], "{\"c\": null}");
    }

    #[test]
    fn mistakes_have_their_places() {
        for (text, message) in [
            ("", "t.json:1:1: no sound JSON: EOF"),
            (
                "{\"a\": 1,\n \"a\": 2}",
                "t.json:2:2: the key `a` is there twice",
            ),
            (
                "{\n\"a\": [1, 2,]}",
                "t.json:2:12: no sound JSON: expected value",
            ),
            ("[1] x", "t.json:1:5: no sound JSON: trailing characters"),
            (
                "{\"a\":\n  1e999}",
                "t.json:2:3: no sound JSON: number out of range",
            ),
            ("[\"\\ud800\"]", "no sound JSON: "),
            ("{\"a\": NaN}", "no sound JSON: expected value"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(
            parse(&deep)
                .unwrap_err()
                .contains("t.json:1:50: nests more than 48 deep")
        );
        let huge = parse("99999999999999999999").unwrap().value;
        assert_eq!(huge, Json::Float(1e20));
    }
}
