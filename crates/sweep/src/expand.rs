//! Lists of layers with settings in place of expressions, repeats written out, conditions decided.

use std::collections::HashSet;
use std::ops::Range;

use syncarp_diag::Located;

use crate::MAX_LAYERS;
use crate::args::Args;
use crate::entry::{Body, Entry};
use crate::layer::LayerNode;
use crate::template::{Template, Work, kind_mistake};
use crate::value::{Spanned, Table, Value};

/// The most entries looked at for one model, so that empty repeats of repeats end soon too.
const MAX_STEPS: u64 = 200_000;

/// How many values a layer weighs, its arguments not counted.
const LAYER_WEIGHT: u64 = 5;

/// Expands the layers of one model.
pub(crate) struct Expander<'w, 's> {
    pub work: &'w mut Work<'s>,
    /// The values of the settings and then of the indices of the repeats that are being expanded.
    slots: Vec<Value>,
    layers: usize,
    steps: u64,
}

impl<'w, 's> Expander<'w, 's> {
    pub fn new(work: &'w mut Work<'s>, slots: Vec<Value>) -> Self {
        Expander {
            work,
            slots,
            layers: 0,
            steps: 0,
        }
    }

    pub fn resolve(&mut self, template: &Spanned<Template>) -> Result<Spanned<Value>, Located> {
        template.resolve(&self.slots, self.work)
    }

    /// A text.
    pub fn text(
        &mut self,
        template: &Spanned<Template>,
        what: &str,
    ) -> Result<Spanned<String>, Located> {
        template.resolve_str(&self.slots, self.work, what)
    }

    /// An explicit name of a part, which may be empty.
    pub fn part_name(
        &mut self,
        template: Option<&Spanned<Template>>,
    ) -> Result<Option<Spanned<String>>, Located> {
        let Some(template) = template else {
            return Ok(None);
        };
        let name = self.text(template, "a name")?;
        match name.value.is_empty() {
            true => Ok(Some(name)),
            false => self.plain_name(name).map(Some),
        }
    }

    /// An explicit name of a layer.
    pub fn name(
        &mut self,
        template: Option<&Spanned<Template>>,
    ) -> Result<Option<Spanned<String>>, Located> {
        let Some(template) = template else {
            return Ok(None);
        };
        let name = self.text(template, "a name")?;
        self.plain_name(name).map(Some)
    }

    fn plain_name(&self, name: Spanned<String>) -> Result<Spanned<String>, Located> {
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if name.value.is_empty() || name.value.len() > 128 || !name.value.chars().all(plain) {
            let message = format!("`{}` cannot name a part of a model", shortened(&name.value));
            return Err(Located::new(self.work.source, name.span, message)
                .with_help("such names are of letters, digits, `_` and `-`"));
        }
        Ok(name)
    }

    /// All layers of a list; no two have the same explicit name.
    pub fn list(&mut self, entries: &[Entry]) -> Result<Vec<LayerNode>, Located> {
        let mut nodes = Vec::new();
        for entry in entries {
            self.entry(entry, &mut nodes)?;
        }
        let mut seen = HashSet::new();
        let twice = nodes
            .iter()
            .filter_map(LayerNode::name)
            .find(|name| !seen.insert(name.value.as_str()));
        match twice {
            None => Ok(nodes),
            Some(name) => {
                let message = format!("two layers of one list are called `{}`", name.value);
                Err(Located::new(self.work.source, name.span.clone(), message)
                    .with_help("inside a repeat, put the index into the name: `\"block${i}\"`"))
            }
        }
    }

    fn step(&mut self, span: &Range<usize>) -> Result<(), Located> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            let message = format!("the repeats of one model come to more than {MAX_STEPS} steps");
            return Err(Located::new(self.work.source, span.clone(), message));
        }
        self.work.charge(1, span)
    }

    fn count_layer(&mut self, span: &Range<usize>) -> Result<(), Located> {
        self.layers += 1;
        if self.layers > MAX_LAYERS {
            let message = format!("a model of more than {MAX_LAYERS} layers");
            return Err(Located::new(self.work.source, span.clone(), message));
        }
        self.work.charge(LAYER_WEIGHT, span)
    }

    fn entry(&mut self, entry: &Entry, nodes: &mut Vec<LayerNode>) -> Result<(), Located> {
        if let Body::Group {
            repeat: Some(repeat),
            layers,
        } = &entry.body
        {
            let count = self.count(repeat)?;
            let slot = self.slots.len();
            for index in 0..count {
                self.slots.push(Value::Int(index));
                let done = self.once(entry, layers, nodes);
                self.slots.truncate(slot);
                done?;
            }
            return Ok(());
        }
        if let Body::Group {
            repeat: None,
            layers,
        } = &entry.body
        {
            return self.once(entry, layers, nodes);
        }
        self.step(&entry.span)?;
        if !self.wanted(entry)? {
            return Ok(());
        }
        self.count_layer(&entry.span)?;
        let name = self.name(entry.name.as_ref())?;
        let span = entry.span.clone();
        nodes.push(match &entry.body {
            Body::Layer { kind, args } => {
                let kind = kind.resolve_str(&self.slots, self.work, "a layer")?;
                let args = self.args(args.as_ref(), &span)?;
                LayerNode::Layer {
                    name,
                    kind,
                    args,
                    span,
                }
            }
            Body::Branches { branches, join } => {
                self.work.charge(branches.len() as u64, &span)?;
                let branches: Result<Vec<_>, Located> =
                    branches.iter().map(|branch| self.list(branch)).collect();
                LayerNode::Branches {
                    name,
                    branches: branches?,
                    join: *join,
                    span,
                }
            }
            Body::Group { .. } => return Ok(()),
        });
        Ok(())
    }

    /// A group's layers, once: in place, or under the group's name.
    fn once(
        &mut self,
        entry: &Entry,
        layers: &[Entry],
        nodes: &mut Vec<LayerNode>,
    ) -> Result<(), Located> {
        self.step(&entry.span)?;
        if !self.wanted(entry)? {
            return Ok(());
        }
        match self.name(entry.name.as_ref())? {
            Some(name) => {
                self.count_layer(&entry.span)?;
                let layers = self.list(layers)?;
                nodes.push(LayerNode::Sequence {
                    name,
                    layers,
                    span: entry.span.clone(),
                });
            }
            None => {
                for layer in layers {
                    self.entry(layer, nodes)?;
                }
            }
        }
        Ok(())
    }

    fn wanted(&mut self, entry: &Entry) -> Result<bool, Located> {
        match &entry.when {
            None => Ok(true),
            Some(when) => when.resolve_bool(&self.slots, self.work, "`when`"),
        }
    }

    fn count(&mut self, repeat: &Spanned<Template>) -> Result<i64, Located> {
        let count = self.resolve(repeat)?.value;
        match count {
            Value::Int(count) if (0..=MAX_LAYERS as i64).contains(&count) => Ok(count),
            other => {
                let wanted = format!("a whole number from 0 to {MAX_LAYERS}");
                let source = self.work.source;
                let mistake = kind_mistake(source, &repeat.span, "`repeat`", &wanted, &other);
                Err(match other {
                    Value::Float(_) => mistake
                        .with_help("`/` gives a float; `//` and `int(...)` give whole numbers"),
                    _ => mistake,
                })
            }
        }
    }

    fn args(
        &mut self,
        args: Option<&Spanned<Template>>,
        around: &Range<usize>,
    ) -> Result<Args, Located> {
        let Some(args) = args else {
            return Ok(Args {
                span: around.clone(),
                ..Args::default()
            });
        };
        let value = self.resolve(args)?;
        let span = value.span.clone();
        Ok(match value.value {
            Value::Table(named) => Args {
                positional: None,
                named,
                span,
            },
            _ => Args {
                positional: Some(value),
                named: Table::default(),
                span,
            },
        })
    }
}

/// A name cut to a length that reads well in a message.
pub(crate) fn shortened(name: &str) -> String {
    match name.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}
