//! Reads a sweep file, `sweep.toml`, and expands it into fully resolved model submissions.
//!
//! A sweep file has a `[data]` table and an `[evaluator]` table with defaults, and `[[model]]`
//! blocks. A block has `settings` with several values each, which combine to one model each, and
//! texts with `${...}` that the settings go into:
//!
//! ```
//! use syncarp_diag::Source;
//! use syncarp_sweep::Sweep;
//!
//! let text = r#"
//! [data]
//! source = "digits.csv.gz"
//!
//! [evaluator]
//! loss = "cross-entropy"
//! optimizer = { name = "adam", lr = "${lr}" }
//! epochs = 20
//!
//! [[model]]
//! name = "mlp-${width}-${lr}"
//! settings.width = [32, 64]
//! settings.lr = { log-range = [1e-3, 1e-1], count = 3 }
//! layers = ["flatten", { linear = "${width}" }, "relu", { linear = 10 }]
//! "#;
//! let sweep = Sweep::parse(Source::new("sweep.toml", text), "digits")?;
//! assert_eq!(sweep.models.len(), 6);
//! assert_eq!(sweep.models[1].name, "mlp-32-0.01");
//! # Ok::<(), syncarp_sweep::SweepError>(())
//! ```
//!
//! What layers, losses and optimizers there are is not known here. What comes out has no `${...}`,
//! no repeats and no conditions left in it, and every value knows where it was written.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use syncarp_diag::{Located, Source};

mod args;
mod block;
mod combine;
mod de;
mod entry;
mod error;
mod eval;
mod evaluator;
mod expand;
mod expr;
mod glob;
mod layer;
mod lex;
mod lora;
mod merge;
mod part;
mod read;
mod settings;
mod spell;
mod template;
mod value;

pub use args::{ArgReader, Args, Keys};
pub use de::from_table;
pub use error::{MAX_MISTAKES, SweepError};
pub use evaluator::{EvaluatorSpec, Named};
pub use glob::glob_matches;
pub use layer::{Join, LayerNode, Part, PartBody};
pub use lora::Lora;
pub use value::{Spanned, Table, Value};

use block::{Block, Defaults};
use error::Reports;
use template::{MAX_VALUES, Work, kind_mistake};

/// The most models that a sweep may have.
pub const MAX_MODELS: usize = 100_000;

/// The most layers that one model may have, branches and named groups counted too.
pub const MAX_LAYERS: usize = 10_000;

/// A sweep, expanded.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Its name: as in the file, or else that of the base folder.
    pub name: String,
    /// The folder that relative paths in the file start at.
    pub base_dir: PathBuf,
    /// The file, which all places point into.
    pub source: Source,
    /// The models, block after block, at least one; no two have the same name.
    pub models: Vec<ModelSpec>,
}

/// One model to submit, with everything resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// Its name, which no other model of the sweep has.
    pub name: String,
    /// The number of its `[[model]]` block, from 0.
    pub family: usize,
    /// Its number in the block, from 0: `${index}`.
    pub index: usize,
    /// The block's settings in the file's order, with their values in this model.
    pub settings: Vec<(String, Value)>,
    /// Its parts, at least one; the output of one is the input of the next.
    pub parts: Vec<Part>,
    /// How it is trained and judged.
    pub training: EvaluatorSpec,
    /// The table that `training` was read from: the block's own over the sweep's.
    pub evaluator: Spanned<Table>,
    /// The data stream: the block's own over the sweep's. See [`from_table`].
    pub data: Spanned<Table>,
    /// Where its name is written, or else its block.
    pub span: Range<usize>,
}

impl Sweep {
    /// Reads a sweep file. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// The file cannot be read, or is no sweep.
    pub fn load(path: &Path) -> Result<Sweep, SweepError> {
        let failed = |cause| SweepError::Read {
            path: path.to_owned(),
            cause,
        };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let base = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Sweep::parse(Source::new(path.display().to_string(), text), base)
    }

    /// Reads a sweep from a text. Relative paths in it start at `base_dir`.
    ///
    /// # Errors
    /// The text is no sweep: every independent mistake in it, up to [`MAX_MISTAKES`].
    pub fn parse(source: Source, base_dir: impl Into<PathBuf>) -> Result<Sweep, SweepError> {
        match parse(&source) {
            Ok((name, models)) => {
                let base_dir = base_dir.into();
                let name = name.unwrap_or_else(|| folder_name(&base_dir));
                Ok(Sweep {
                    name,
                    base_dir,
                    source,
                    models,
                })
            }
            Err(mistakes) => Err(SweepError::Invalid { mistakes }),
        }
    }

    /// A path in the file as a path for the file system.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.base_dir.join(path)
    }
}

fn folder_name(folder: &Path) -> String {
    let whole = folder.canonicalize();
    let named = whole
        .as_deref()
        .unwrap_or(folder)
        .file_name()
        .or(folder.file_name());
    named.map_or_else(
        || "sweep".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn parse(source: &Source) -> Result<(Option<String>, Vec<ModelSpec>), Vec<Located>> {
    let file = read::read(source).map_err(|mistake| vec![mistake])?;
    let mut reports = Reports::new(source);
    let known = ["name", "data", "evaluator", "model"];
    for mistake in spell::unknown_keys(source, &file, "a sweep", &known) {
        reports.push(mistake);
    }
    let name = sweep_name(file.get("name"), &mut reports);
    let defaults = Defaults {
        evaluator: default_table(&file, "evaluator", &mut reports),
        data: default_table(&file, "data", &mut reports),
    };
    evaluator::check_keys(&defaults.evaluator.value, &mut reports);
    let blocks = match file.get("model") {
        Some(Spanned {
            value: Value::Array(items),
            ..
        }) if !items.is_empty() => items.as_slice(),
        found => {
            let span = found.map_or(0..0, |found| found.span.clone());
            reports.say(span, "a sweep without models", "write a `[[model]]` block");
            &[]
        }
    };
    // Each block has the defaults in it, so that many blocks of large defaults take much memory.
    let weight = defaults.evaluator.value.weight() + defaults.data.value.weight();
    let too_large = weight.saturating_mul(blocks.len() as u64) > MAX_VALUES;
    if too_large {
        let message = format!("the sweep expands to more than {MAX_VALUES} values");
        reports.say(0..0, message, "split it into several sweeps");
    }
    let blocks: Vec<Block> = blocks
        .iter()
        .enumerate()
        .filter_map(|(family, block)| {
            // With no room for another mistake, looking for one is wasted.
            if reports.full() || too_large {
                None
            } else {
                Block::parse(family, block, &defaults, &mut reports)
            }
        })
        .collect();
    let models = expand(&blocks, &mut reports);
    reports.into_result()?;
    Ok((name, models))
}

fn sweep_name(name: Option<&Spanned<Value>>, reports: &mut Reports) -> Option<String> {
    let Some(Spanned {
        value: Value::Str(text),
        span,
    }) = name
    else {
        if let Some(other) = name {
            let source = reports.source;
            reports.push(kind_mistake(
                source,
                &other.span,
                "`name`",
                "a string",
                &other.value,
            ));
        }
        return None;
    };
    if let Err(help) = block::check_name(&Spanned::new(text.clone(), span.clone())) {
        reports.say(span.clone(), "this cannot name a sweep", help);
    }
    Some(text.clone())
}

fn default_table(file: &Table, key: &str, reports: &mut Reports) -> Spanned<Table> {
    match file.get(key) {
        None => Spanned::new(Table::default(), 0..0),
        Some(Spanned {
            value: Value::Table(table),
            span,
        }) => Spanned::new(table.clone(), span.clone()),
        Some(other) => {
            let source = reports.source;
            let what = format!("`{key}`");
            reports.push(kind_mistake(
                source,
                &other.span,
                &what,
                "a table",
                &other.value,
            ));
            Spanned::new(Table::default(), 0..0)
        }
    }
}

/// The models of all blocks. A block ends at its first model with mistakes: the next would have
/// the same.
fn expand(blocks: &[Block], reports: &mut Reports) -> Vec<ModelSpec> {
    let total: usize = blocks
        .iter()
        .map(|block| block.count)
        .fold(0, usize::saturating_add);
    if total > MAX_MODELS {
        let message = format!("the sweep has {total} models, more than {MAX_MODELS}");
        reports.say(0..0, message, "split it into several sweeps");
        return Vec::new();
    }
    let mut models: Vec<ModelSpec> = Vec::with_capacity(total);
    let mut names: HashMap<String, usize> = HashMap::with_capacity(total);
    let mut work = Work::new(reports.source);
    for block in blocks {
        for index in 0..block.count {
            let model = match block.model(index, &mut work) {
                Ok(model) => model,
                Err(mistakes) => {
                    mistakes
                        .into_iter()
                        .for_each(|mistake| reports.push(mistake));
                    break;
                }
            };
            if let Some(other) = names.insert(model.name.clone(), models.len()) {
                reports.push(twice(&models[other], &model, reports.source));
                break;
            }
            models.push(model);
        }
    }
    models
}

/// A mistake about two models of one name.
fn twice(first: &ModelSpec, second: &ModelSpec, source: &Source) -> Located {
    let message = format!("two models are called `{}`", second.name);
    let mistake = Located::new(source, second.span.clone(), message);
    if first.family != second.family {
        let (line, _) = source.line_column(first.span.start);
        return mistake.with_help(format!("the other one is named in line {line}"));
    }
    let differ = first
        .settings
        .iter()
        .zip(&second.settings)
        .find(|(a, b)| a != b);
    mistake.with_help(match differ {
        Some(((setting, _), _)) => {
            format!("they differ in `{setting}`; put `${{{setting}}}` into the name")
        }
        None => "put `${index}`, the model's number in its block, into the name".to_owned(),
    })
}
