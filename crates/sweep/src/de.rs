//! Reading resolved tables into types of other crates by serde, with mistakes at their places.

use std::fmt;
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use syncarp_diag::{Located, Source};

use crate::spell;
use crate::value::{Spanned, Table, Value};

/// Reads a table as `T`, for instance a model's `data` as the data stream's specification.
///
/// # Errors
/// What serde says is wrong, at the innermost place that is known; a place inside a type that serde
/// reads twice (untagged or flattened) is that of the whole.
pub fn from_table<T: DeserializeOwned>(
    table: &Spanned<Table>,
    source: &Source,
) -> Result<T, Located> {
    T::deserialize(TableReader(&table.value)).map_err(|mistake| {
        let span = mistake.span.unwrap_or_else(|| table.span.clone());
        let located = Located::new(source, span, mistake.message);
        match mistake.help {
            Some(help) => located.with_help(help),
            None => located,
        }
    })
}

/// What serde says is wrong, and where, as soon as that is known.
#[derive(Debug)]
struct Mistake {
    message: String,
    help: Option<String>,
    span: Option<Range<usize>>,
}

impl Mistake {
    /// The same mistake, at `span` unless a place inside it is known already.
    fn at(mut self, span: &Range<usize>) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl serde::de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Mistake {
            message: message.to_string(),
            help: None,
            span: None,
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let help = Some(spell::help("known keys", field, expected));
        Mistake {
            help,
            ..Mistake::custom(format_args!("unknown key `{field}`"))
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let help = Some(spell::help("known names", variant, expected));
        Mistake {
            help,
            ..Mistake::custom(format_args!("unknown name `{variant}`"))
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Mistake::custom(format_args!("there is no `{field}`"))
    }
}

struct ValueReader<'v>(&'v Spanned<Value>);

impl<'de> Deserializer<'de> for ValueReader<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let read = match &self.0.value {
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Str(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items(items.iter())),
            Value::Table(table) => visitor.visit_map(Entries::new(table)),
        };
        read.map_err(|mistake| mistake.at(&self.0.span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let span = &self.0.span;
        let read = match &self.0.value {
            Value::Str(name) => visitor.visit_enum(Variant {
                name,
                span,
                content: None,
            }),
            Value::Table(table) if table.len() == 1 => {
                let (key, value) = &table.entries[0];
                let (name, span) = (key.value.as_str(), &key.span);
                visitor.visit_enum(Variant {
                    name,
                    span,
                    content: Some(value),
                })
            }
            _ => Err(Mistake::custom("expected a name, or a table with one key")),
        };
        read.map_err(|mistake| mistake.at(span))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A table that stands by itself, outside of any value.
struct TableReader<'v>(&'v Table);

impl<'de> Deserializer<'de> for TableReader<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_map(Entries::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        option
    }
}

struct Items<'v>(std::slice::Iter<'v, Spanned<Value>>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        self.0
            .next()
            .map(|item| seed.deserialize(ValueReader(item)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'v> {
    rest: std::slice::Iter<'v, (Spanned<String>, Spanned<Value>)>,
    value: Option<&'v Spanned<Value>>,
}

impl<'v> Entries<'v> {
    fn new(table: &'v Table) -> Self {
        Entries {
            rest: table.entries.iter(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        let reader: StrDeserializer<Mistake> = key.value.as_str().into_deserializer();
        seed.deserialize(reader)
            .map(Some)
            .map_err(|mistake| mistake.at(&key.span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        match self.value.take() {
            Some(value) => seed
                .deserialize(ValueReader(value))
                .map_err(|mistake| mistake.at(&value.span)),
            None => Err(Mistake::custom("a value was asked for before its key")),
        }
    }
}

/// A variant of an enum: a bare name, or the key of a table with its content.
struct Variant<'v> {
    name: &'v str,
    span: &'v Range<usize>,
    content: Option<&'v Spanned<Value>>,
}

impl<'v> Variant<'v> {
    fn content(&self) -> Result<ValueReader<'v>, Mistake> {
        self.content.map(ValueReader).ok_or_else(|| {
            Mistake::custom(format_args!("`{}` needs a value", self.name)).at(self.span)
        })
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Mistake> {
        let reader: StrDeserializer<Mistake> = self.name.into_deserializer();
        let variant = seed
            .deserialize(reader)
            .map_err(|mistake| mistake.at(self.span))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        match self.content {
            // An empty table says no more than the bare name does.
            Some(Spanned {
                value: Value::Table(table),
                ..
            }) if table.is_empty() => Ok(()),
            Some(content) => {
                let message = format!("`{}` takes no value", self.name);
                Err(Mistake::custom(message).at(&content.span))
            }
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.content()?.deserialize_any(visitor)
    }
}
