//! A model's own evaluator and data over the sweep's defaults.

use std::collections::BTreeMap;

use crate::value::{Spanned, Table, Value};

/// The keys of an evaluator whose values have a name and options.
const NAMED: [&str; 3] = ["loss", "optimizer", "schedule"];

/// The defaults with a model's own table over them, tables within tables too.
pub(crate) fn tables(default: &Table, over: &Table) -> Table {
    merge(
        default,
        over,
        &|_, default, over| match (&default.value, &over.value) {
            (Value::Table(default), Value::Table(own)) => {
                Spanned::new(Value::Table(tables(default, own)), over.span.clone())
            }
            _ => over.clone(),
        },
    )
}

/// The default evaluator with a model's own over it. Options of a loss, optimizer or schedule stay
/// unless its name changes, since one optimizer's options say nothing to another.
pub(crate) fn evaluators(default: &Table, over: &Table) -> Table {
    merge(default, over, &|key, default, over| {
        if NAMED.contains(&key) {
            named(default, over)
        } else {
            over.clone()
        }
    })
}

fn named(default: &Spanned<Value>, over: &Spanned<Value>) -> Spanned<Value> {
    let (Some(base), Some(own)) = (options(default), options(over)) else {
        return over.clone();
    };
    let changes = own
        .get("name")
        .is_some_and(|name| base.get("name") != Some(name));
    if changes {
        return over.clone();
    }
    Spanned::new(Value::Table(tables(&base, &own)), over.span.clone())
}

/// A named thing as a table; a bare name is a table with a name alone.
fn options(value: &Spanned<Value>) -> Option<Table> {
    match &value.value {
        Value::Table(table) => Some(table.clone()),
        Value::Str(_) => {
            let key = Spanned::new("name".to_owned(), value.span.clone());
            Some([(key, value.clone())].into_iter().collect())
        }
        _ => None,
    }
}

/// What to make of a key, its default and its own value.
type Both<'b> = &'b dyn Fn(&str, &Spanned<Value>, &Spanned<Value>) -> Spanned<Value>;

/// The default's keys in their order and then the new ones.
fn merge(default: &Table, over: &Table, both: Both) -> Table {
    let places: BTreeMap<&str, usize> = over
        .iter()
        .enumerate()
        .map(|(place, (key, _))| (key.value.as_str(), place))
        .collect();
    let mut taken = vec![false; over.len()];
    let mut entries = Vec::with_capacity(default.len() + over.len());
    for (key, value) in default.iter() {
        match places.get(key.value.as_str()) {
            Some(&place) => {
                taken[place] = true;
                let (own_key, own) = &over.entries[place];
                entries.push((own_key.clone(), both(&key.value, value, own)));
            }
            None => entries.push((key.clone(), value.clone())),
        }
    }
    let new = over
        .iter()
        .zip(taken)
        .filter(|(_, taken)| !taken)
        .map(|(entry, _)| entry.clone());
    entries.extend(new);
    Table { entries }
}
