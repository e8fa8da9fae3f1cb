//! Low-rank adapters, as written: `lora = { targets = ["*.query"], rank = 8 }`.

use std::ops::Range;

use syncarp_diag::{Located, Source};

use crate::args::Args;
use crate::template::kind_mistake;
use crate::value::{Spanned, Value};

/// Which layers get a low-rank adapter (Hu et al., 2021), and what kind of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    /// Patterns (see [`crate::glob_matches`]) of the layers' paths, at least one.
    pub targets: Vec<Spanned<String>>,
    /// The rank of the product that is added to a weight, at least 1.
    pub rank: u64,
    /// The product is multiplied by `alpha / rank`; the rank itself where it is not written.
    pub alpha: f64,
    /// With which probability an element on its way into an adapter is dropped, 0 to below 1.
    pub dropout: f64,
    /// Where it is written.
    pub span: Range<usize>,
}

impl Lora {
    /// Reads a table.
    ///
    /// # Errors
    /// A key is missing, unknown or out of its range.
    pub(crate) fn parse(value: &Spanned<Value>, source: &Source) -> Result<Lora, Located> {
        let Value::Table(table) = &value.value else {
            let help = "write `lora = { targets = [\"*.query\"], rank = 8 }`";
            let mistake = kind_mistake(source, &value.span, "`lora`", "a table", &value.value);
            return Err(mistake.with_help(help));
        };
        let args = Args {
            positional: None,
            named: table.clone(),
            span: value.span.clone(),
        };
        let mut read = args.reader(source, "lora");
        let targets = targets(read.value("targets")?, source)?;
        let rank = read.usize("rank")? as u64;
        if !(1..=1 << 20).contains(&rank) {
            return Err(read.mistake("rank", "`rank` is at least 1, and no more than fits"));
        }
        let alpha = read.f64_opt("alpha")?.unwrap_or(rank as f64);
        if !alpha.is_finite() {
            return Err(read.mistake("alpha", "`alpha` is a finite number"));
        }
        let dropout = read.f64_opt("dropout")?.unwrap_or(0.0);
        if !(0.0..1.0).contains(&dropout) {
            return Err(read.mistake("dropout", "`dropout` is a probability below 1"));
        }
        read.finish()?;
        Ok(Lora {
            targets,
            rank,
            alpha,
            dropout,
            span: value.span.clone(),
        })
    }
}

fn targets(value: &Spanned<Value>, source: &Source) -> Result<Vec<Spanned<String>>, Located> {
    let help = "write the layers' paths, such as `targets = [\"*.query\", \"*.value\"]`";
    let items = match &value.value {
        Value::Array(items) if !items.is_empty() => items.as_slice(),
        Value::Array(_) => {
            let message = "`targets` names no layer";
            return Err(Located::new(source, value.span.clone(), message).with_help(help));
        }
        _ => std::slice::from_ref(value),
    };
    let pattern = |item: &Spanned<Value>| match &item.value {
        Value::Str(pattern) => Ok(Spanned::new(pattern.clone(), item.span.clone())),
        other => {
            let mistake = kind_mistake(source, &item.span, "a target", "a string", other);
            Err(mistake.with_help(help))
        }
    };
    items.iter().map(pattern).collect()
}
