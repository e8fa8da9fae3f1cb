//! TOML text into values with places; everything after this knows nothing of TOML.

use std::ops::Range;

use syncarp_diag::{Located, Source};
use toml_edit::{Document, Item, Key};

use crate::value::{Spanned, Table, Value};

/// The most bytes that a sweep file may have.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// How deep tables and arrays may nest; what follows recurses this deep and no deeper.
const MAX_DEPTH: usize = 100;

/// Reads the text of `source` as one table.
pub(crate) fn read(source: &Source) -> Result<Table, Located> {
    let text: &str = &source.text;
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, more than {MAX_BYTES}", text.len());
        return Err(Located::new(source, 0..0, message));
    }
    let document = Document::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Located::new(source, span, error.message().trim_end())
    })?;
    Reader { source }.table(document.as_table(), 0)
}

struct Reader<'s> {
    source: &'s Source,
}

impl Reader<'_> {
    fn key(&self, key: Option<&Key>, name: &str) -> Spanned<String> {
        Spanned::new(name.to_owned(), key.and_then(Key::span).unwrap_or(0..0))
    }

    fn table(&self, table: &dyn toml_edit::TableLike, depth: usize) -> Result<Table, Located> {
        table
            .iter()
            .filter(|(_, item)| !item.is_none())
            .map(|(name, item)| {
                let key = self.key(table.key(name), name);
                let value = self.item(item, &key.span, depth)?;
                Ok((key, value))
            })
            .collect()
    }

    /// A value; tables made by dotted keys have no place of their own and take `around`.
    fn item(
        &self,
        item: &Item,
        around: &Range<usize>,
        depth: usize,
    ) -> Result<Spanned<Value>, Located> {
        match item {
            Item::Value(value) => self.value(value, around, depth),
            Item::Table(table) => {
                let span = table.span().unwrap_or_else(|| around.clone());
                self.check(depth, &span)?;
                Ok(Spanned::new(
                    Value::Table(self.table(table, depth + 1)?),
                    span,
                ))
            }
            Item::ArrayOfTables(tables) => {
                let span = tables.span().unwrap_or_else(|| around.clone());
                self.check(depth, &span)?;
                let items: Result<Vec<_>, Located> = tables
                    .iter()
                    .map(|table| {
                        let span = table.span().unwrap_or_else(|| around.clone());
                        Ok(Spanned::new(
                            Value::Table(self.table(table, depth + 2)?),
                            span,
                        ))
                    })
                    .collect();
                Ok(Spanned::new(Value::Array(items?), span))
            }
            Item::None => Err(Located::new(
                self.source,
                around.clone(),
                "a key without a value",
            )),
        }
    }

    fn value(
        &self,
        value: &toml_edit::Value,
        around: &Range<usize>,
        depth: usize,
    ) -> Result<Spanned<Value>, Located> {
        use toml_edit::Value as Toml;
        let span = value.span().unwrap_or_else(|| around.clone());
        self.check(depth, &span)?;
        let read = match value {
            Toml::Integer(number) => Value::Int(*number.value()),
            Toml::Float(number) => Value::Float(*number.value()),
            Toml::Boolean(flag) => Value::Bool(*flag.value()),
            Toml::String(text) => Value::Str(text.value().clone()),
            Toml::Array(items) => {
                let items: Result<Vec<_>, Located> = items
                    .iter()
                    .map(|item| self.value(item, &span, depth + 1))
                    .collect();
                Value::Array(items?)
            }
            Toml::InlineTable(table) => Value::Table(self.table(table, depth + 1)?),
            Toml::Datetime(_) => {
                let mistake = Located::new(self.source, span, "a sweep has no use for dates");
                return Err(mistake.with_help("write a text in quotes"));
            }
        };
        Ok(Spanned::new(read, span))
    }

    fn check(&self, depth: usize, span: &Range<usize>) -> Result<(), Located> {
        if depth < MAX_DEPTH {
            return Ok(());
        }
        let message = format!("tables and arrays nest deeper than {MAX_DEPTH}");
        Err(Located::new(self.source, span.clone(), message))
    }
}
