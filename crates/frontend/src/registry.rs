//! Layers as registered entries: one implementation of one trait each, no central list.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncarp_diag::Located;
use syncarp_ir::Value;
use syncarp_sweep::Keys;
use thiserror::Error;

use crate::context::LayerContext;

/// One argument of a layer. It is a key for [`syncarp_sweep::ArgReader`], so that what is declared
/// is what is read.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its spellings, the usual one first; `-` and `_` are alike.
    pub names: &'static [&'static str],
    /// What it is where it is left out, as one would write or say it; none where it must be there.
    pub default: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
    /// The one value that it may have, where it is there only for models that write it down as
    /// PyTorch has it.
    pub only: Option<Only>,
    /// Whether it may be written as null, which leaves it out.
    pub null: bool,
    /// What it is in PyTorch where it is left out, if that is another number than here.
    pub in_torch: Option<i64>,
}

/// The one value that an argument may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Only {
    /// Any: it changes nothing here.
    Anything,
    /// None but null.
    Nothing,
    /// This truth value.
    Bool(bool),
    /// This word.
    Str(&'static str),
}

impl Argument {
    /// An argument that must be there.
    pub const fn required(names: &'static [&'static str], doc: &'static str) -> Self {
        Argument {
            names,
            default: None,
            doc,
            only: None,
            null: false,
            in_torch: None,
        }
    }

    /// An argument that may be left out.
    pub const fn optional(
        names: &'static [&'static str],
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Argument {
            names,
            default: Some(default),
            doc,
            only: None,
            null: false,
            in_torch: None,
        }
    }

    /// An argument of PyTorch's that may have one value alone; `doc` says why no other.
    pub const fn only(name: &'static [&'static str], only: Only, doc: &'static str) -> Self {
        Argument {
            names: name,
            default: Some("as it must be"),
            doc,
            only: Some(only),
            null: matches!(only, Only::Nothing | Only::Anything),
            in_torch: None,
        }
    }

    /// The same argument, which may be null.
    pub const fn or_null(self) -> Self {
        Argument { null: true, ..self }
    }

    /// The same argument, which PyTorch has this number for where it is left out.
    pub const fn in_torch(self, number: i64) -> Self {
        Argument {
            in_torch: Some(number),
            ..self
        }
    }
}

impl Keys for &Argument {
    fn spellings(&self) -> &[&str] {
        self.names
    }
}

/// One kind of layer: what it is called, what it takes and what it becomes.
///
/// Implementations are registered with [`LayerRegistry::register`]; nothing else lists them.
pub trait Layer: Send + Sync + 'static {
    /// Its names, the usual one first. Case, `-` and `_` do not count, so `leaky-relu` is also
    /// `LeakyReLU`.
    fn names(&self) -> &'static [&'static str];

    /// What it computes: a first sentence, then shapes.
    fn doc(&self) -> &'static str;

    /// Its arguments; one without a name is the first.
    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    /// Emits it and gives its outgoing value.
    ///
    /// # Errors
    /// Where arguments or the incoming value do not fit; make them with
    /// [`LayerContext::error`], so that they say which layer and where.
    fn lower(&self, cx: &mut LayerContext<'_, '_>) -> Result<Value, Located>;
}

/// A layer without data of its own, written as one constant.
#[derive(Clone, Copy)]
pub struct LayerFn {
    /// See [`Layer::names`].
    pub names: &'static [&'static str],
    /// See [`Layer::doc`].
    pub doc: &'static str,
    /// See [`Layer::arguments`].
    pub arguments: &'static [Argument],
    /// See [`Layer::lower`].
    pub lower: fn(&mut LayerContext<'_, '_>) -> Result<Value, Located>,
}

impl Layer for LayerFn {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn arguments(&self) -> &'static [Argument] {
        self.arguments
    }

    fn lower(&self, cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
        (self.lower)(cx)
    }
}

/// A mistake in registering layers; the fault is the registering crate's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LayerError {
    /// Two layers of one name.
    #[error("a layer `{0}` is registered twice")]
    Duplicate(String),
    /// A layer that nobody could ask for.
    #[error("a layer without a name")]
    Nameless,
}

/// The layers that a program knows.
#[derive(Clone, Default)]
pub struct LayerRegistry {
    layers: Vec<(Arc<dyn Layer>, Option<&'static str>)>,
    by_name: BTreeMap<String, usize>,
    /// What the layers that are being registered belong to.
    family: Option<&'static str>,
}

impl LayerRegistry {
    /// A registry without layers.
    pub fn new() -> Self {
        LayerRegistry::default()
    }

    /// All layers of this crate.
    ///
    /// # Panics
    /// If two of them have one name, which a test rules out.
    pub fn standard() -> Self {
        let mut registry = LayerRegistry::new();
        crate::layers::register(&mut registry).expect("the standard layers have distinct names");
        registry
    }

    /// Adds a layer.
    ///
    /// # Errors
    /// Where it has no name, or one that is taken.
    pub fn register(&mut self, layer: impl Layer) -> Result<(), LayerError> {
        let names = layer.names();
        if names.is_empty() {
            return Err(LayerError::Nameless);
        }
        if let Some(taken) = names.iter().find(|n| self.by_name.contains_key(&fold(n))) {
            return Err(LayerError::Duplicate((*taken).to_owned()));
        }
        let index = self.layers.len();
        self.by_name.extend(names.iter().map(|n| (fold(n), index)));
        self.layers.push((Arc::new(layer), self.family));
        Ok(())
    }

    /// Adds layers that belong together, under a title in documentation.
    ///
    /// # Errors
    /// Where one of them has no name, or one that is taken.
    pub fn register_family(
        &mut self,
        title: &'static str,
        register: impl FnOnce(&mut LayerRegistry) -> Result<(), LayerError>,
    ) -> Result<(), LayerError> {
        let outer = self.family.replace(title);
        let done = register(self);
        self.family = outer;
        done
    }

    /// The layer of this name, however it is spelled.
    pub fn find(&self, name: &str) -> Option<&dyn Layer> {
        self.by_name
            .get(&fold(name))
            .map(|index| &*self.layers[*index].0)
    }

    /// All layers in order of registration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &dyn Layer> {
        self.layers.iter().map(|(layer, _)| &**layer)
    }

    /// All layers with their arguments, family by family, in Markdown, for documentation.
    pub fn describe(&self) -> String {
        let mut titles: Vec<&str> = Vec::new();
        for (_, family) in &self.layers {
            let title = family.unwrap_or(OTHERS);
            if !titles.contains(&title) {
                titles.push(title);
            }
        }
        let mut out = String::new();
        for title in titles {
            out.push_str(&format!("## {title}\n\n"));
            let of_it = |family: &Option<&str>| family.unwrap_or(OTHERS) == title;
            let layers = self.layers.iter().filter(|(_, family)| of_it(family));
            layers.for_each(|(layer, _)| describe(&**layer, &mut out));
        }
        out
    }
}

/// The title of layers that belong to no family.
const OTHERS: &str = "Others";

fn describe(layer: &dyn Layer, out: &mut String) {
    let code = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
        names.join(", ")
    };
    let (names, doc) = (code(layer.names()), layer.doc());
    out.push_str(&format!("### {names}\n\n{doc}\n\n"));
    let arguments = layer.arguments().iter().filter(|a| a.only.is_none());
    for (index, argument) in arguments.enumerate() {
        let mut names = code(argument.names);
        if index == 0 {
            out.push_str("| argument | default | |\n|---|---|---|\n");
            let first = format!("`{}`", argument.names[0]);
            names = names.replacen(&first, &format!("**{first}**"), 1);
        }
        let default = match argument.default {
            None => "required".to_owned(),
            Some(value) if is_literal(value) => format!("`{value}`"),
            Some(words) => words.to_owned(),
        };
        let doc = argument.doc.replace('|', "\\|");
        out.push_str(&format!("| {names} | {default} | {doc} |\n"));
    }
    if layer.arguments().iter().any(|a| a.only.is_none()) {
        out.push('\n');
    }
}

/// Whether a default is written down as one would write it, and not said in words.
fn is_literal(default: &str) -> bool {
    default.starts_with('"')
        || default.starts_with('[')
        || default.parse::<f64>().is_ok()
        || default.parse::<bool>().is_ok()
}

impl std::fmt::Debug for LayerRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|layer| layer.names()[0]))
            .finish()
    }
}

/// A name without what does not count in it.
pub(crate) fn fold(name: &str) -> String {
    let counts = |c: &char| !matches!(c, '-' | '_' | ' ');
    name.chars()
        .filter(counts)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: LayerFn = LayerFn {
        names: &["do-nothing", "noop"],
        doc: "The incoming value.",
        arguments: &[],
        lower: |cx| Ok(cx.input()),
    };

    #[test]
    fn names_resolve_however_they_are_spelled() {
        let layers = LayerRegistry::standard();
        for (a, b) in [
            ("LeakyReLU", "leaky-relu"),
            ("BatchNorm2d", "batch_norm"),
            ("GELU", "gelu"),
            ("MultiheadAttention", "multi-head attention"),
            ("AdaptiveAvgPool2d", "adaptive-avg-pool2d"),
            ("LogSoftmax", "log-softmax"),
        ] {
            let name = |n: &str| layers.find(n).map(|layer| layer.names()[0]);
            assert_eq!(name(a), name(b));
            assert!(name(a).is_some(), "{a}");
        }
        assert!(layers.find("lstm").is_none());
    }

    #[test]
    fn a_layer_of_somebody_elses_registers_once() {
        let mut layers = LayerRegistry::standard();
        layers.register(NOTHING).unwrap();
        assert!(layers.find("DoNothing").is_some());
        assert_eq!(
            layers.register(NOTHING),
            Err(LayerError::Duplicate("do-nothing".to_owned()))
        );
        assert!(
            layers
                .describe()
                .contains("## Others\n\n### `do-nothing`, `noop`")
        );
    }
}
