//! Data streams, each loaded once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use syncarp_data::{DataError, DataSpec, DataStream};
use syncarp_diag::{Located, Source};
use syncarp_sweep::{Spanned, Sweep, Table, Value, from_table};

use crate::hash::canonical;

/// Streams by where their paths start and their specification; equal streams are one in memory.
#[derive(Default)]
pub(crate) struct Streams(BTreeMap<(PathBuf, String), Result<Arc<DataStream>, Located>>);

impl Streams {
    /// Forgets what could not be loaded, since that may have been mended.
    pub fn try_again(&mut self) {
        self.0.retain(|_, loaded| loaded.is_ok());
    }

    /// The stream of a sweep's table.
    pub fn load(
        &mut self,
        table: &Spanned<Table>,
        sweep: &Sweep,
    ) -> Result<Arc<DataStream>, Located> {
        let source = &sweep.source;
        let spec: DataSpec = from_table(table, source).map_err(|mistake| {
            let help = "a sweep has a `[data]` table with a `source`";
            match table.value.is_empty() {
                true => mistake.with_help(help),
                false => mistake,
            }
        })?;
        let text = canonical(&table.value.to_json()).to_string();
        let key = (sweep.base_dir.clone(), text);
        if let Some(known) = self.0.get(&key) {
            return known.clone();
        }
        let loaded = DataStream::load(&spec, &sweep.base_dir);
        let loaded = match loaded {
            Ok(stream) => {
                let mut others = self.0.values().flatten();
                let equal = others.find(|other| other.key() == stream.key());
                Ok(equal.cloned().unwrap_or_else(|| Arc::new(stream)))
            }
            Err(error) => Err(data_mistake(&error, table, source)),
        };
        self.0.insert(key, loaded.clone());
        loaded
    }
}

/// A mistake about the data, at the setting it is about.
fn data_mistake(error: &DataError, table: &Spanned<Table>, source: &Source) -> Located {
    match error {
        DataError::BadSpec {
            setting,
            message,
            expected,
        } => {
            let message = format!("the data setting `{setting}` is wrong: {message}");
            let span = setting_span(table, setting);
            Located::new(source, span, message).with_help(format!("expected {expected}"))
        }
        DataError::Malformed {
            path,
            place,
            message,
            expected,
        } => {
            let message = format!(
                "the data file `{}` is malformed at {place}: {message}",
                path.display()
            );
            let span = setting_span(table, "source");
            Located::new(source, span, message).with_help(format!("expected {expected}"))
        }
        other => Located::new(source, setting_span(table, "source"), other.to_string()),
    }
}

/// Where a setting of a dotted name is written, or the innermost table around it.
pub(crate) fn setting_span(table: &Spanned<Table>, setting: &str) -> Range<usize> {
    let mut span = table.span.clone();
    let mut inner = &table.value;
    for key in setting.split('.') {
        let Some(value) = inner.get(key) else { break };
        span = value.span.clone();
        match &value.value {
            Value::Table(table) => inner = table,
            _ => break,
        }
    }
    span
}
