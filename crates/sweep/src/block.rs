//! A `[[model]]` block: checked once, then expanded into its models.

use std::ops::Range;

use syncarp_diag::Located;

use crate::combine::{self, Combination};
use crate::error::Reports;
use crate::evaluator::{self, EvaluatorSpec};
use crate::expand::{Expander, shortened};
use crate::layer::Part;
use crate::part::{self, PartTemplate};
use crate::settings::{self, Setting};
use crate::spell;
use crate::template::{Scope, Template, Work, compile, kind_mistake};
use crate::value::{Spanned, Table, Value};
use crate::{ModelSpec, merge};

const KEYS: [&str; 12] = [
    "name",
    "settings",
    "combine",
    "layers",
    "file",
    "cut",
    "lora",
    "freeze",
    "freeze-parameters",
    "parts",
    "evaluator",
    "data",
];

/// The sweep's defaults, for every block.
pub(crate) struct Defaults {
    pub evaluator: Spanned<Table>,
    pub data: Spanned<Table>,
}

/// A block without mistakes of its own; its models may still turn out wrong.
pub(crate) struct Block {
    family: usize,
    pub count: usize,
    name: Option<Spanned<Template>>,
    settings: Vec<Setting>,
    combination: Combination,
    parts: Vec<PartTemplate>,
    evaluator: Spanned<Template>,
    data: Spanned<Template>,
    span: Range<usize>,
}

impl Block {
    /// Checks a block. All its mistakes are reported; a block with any gives nothing.
    pub fn parse(
        family: usize,
        value: &Spanned<Value>,
        defaults: &Defaults,
        reports: &mut Reports,
    ) -> Option<Block> {
        let Value::Table(table) = &value.value else {
            let source = reports.source;
            reports.push(kind_mistake(
                source,
                &value.span,
                "a model",
                "a table",
                &value.value,
            ));
            return None;
        };
        let span = value.span.clone();
        // Everything is reported here first, to know whether this very block is sound.
        let mut own = Reports::new(reports.source);
        for mistake in spell::unknown_keys(own.source, table, "a model", &KEYS) {
            own.push(mistake);
        }
        let settings = settings::parse(table.get("settings"), &mut own);
        let combination = combine::parse(table.get("combine"), &mut own);
        let count = combine::count(combination, &settings, own.source)
            .map_err(|mistake| own.push(mistake))
            .unwrap_or(0);
        let mut scope = Scope::new(settings.iter().map(|setting| setting.name.value.as_str()));
        let name = table
            .get("name")
            .map(|name| compile(name, &mut scope, &mut own));
        let parts = part::parse(table, &span, &mut scope, &mut own);
        let over = |key, default, merge: fn(&Table, &Table) -> Table, own: &mut Reports| {
            merged(table, key, default, merge, &span, own)
        };
        let evaluator = over(
            "evaluator",
            &defaults.evaluator,
            merge::evaluators,
            &mut own,
        );
        if let Value::Table(table) = &evaluator.value {
            evaluator::check_keys(table, &mut own);
        }
        let data = over("data", &defaults.data, merge::tables, &mut own);
        let evaluator = compile(&evaluator, &mut scope, &mut own);
        let data = compile(&data, &mut scope, &mut own);
        for (place, setting) in settings.iter().enumerate() {
            if !scope.is_used(place) {
                let name = &setting.name.value;
                let message = format!("the setting `{name}` is used nowhere in this model");
                let help = format!("write `${{{name}}}` where it belongs, or remove it");
                own.say(setting.name.span.clone(), message, help);
            }
        }
        if let Err(mistakes) = own.into_result() {
            mistakes
                .into_iter()
                .for_each(|mistake| reports.push(mistake));
            return None;
        }
        Some(Block {
            family,
            count,
            name,
            settings,
            combination,
            parts,
            evaluator,
            data,
            span,
        })
    }

    /// The model of this number in the block.
    ///
    /// # Errors
    /// Every mistake that its settings' values make.
    pub fn model(&self, index: usize, work: &mut Work) -> Result<ModelSpec, Vec<Located>> {
        let values = combine::values(self.combination, &self.settings, self.family, index);
        let mut slots = Vec::with_capacity(values.len() + 5);
        slots.push(Value::Int(index as i64));
        slots.extend(values.iter().cloned());
        self.resolve(index, slots, work)
            .map(|model| {
                let names = self
                    .settings
                    .iter()
                    .map(|setting| setting.name.value.clone());
                ModelSpec {
                    settings: names.zip(values.iter().cloned()).collect(),
                    ..model
                }
            })
            .map_err(|mistakes| {
                let context = self.context(index, &values);
                mistakes
                    .into_iter()
                    .map(|mistake| with_context(mistake, &context))
                    .collect()
            })
    }

    fn resolve(
        &self,
        index: usize,
        slots: Vec<Value>,
        work: &mut Work,
    ) -> Result<ModelSpec, Vec<Located>> {
        let source = work.source;
        let weight: u64 = slots.iter().map(Value::weight).sum();
        work.charge(weight, &self.span).map_err(one)?;
        let mut expander = Expander::new(work, slots);
        let name = self.model_name(index, &mut expander).map_err(one)?;
        let parts: Result<Vec<Part>, Located> = self
            .parts
            .iter()
            .map(|part| part.resolve(&mut expander))
            .collect();
        let parts = parts.map_err(one)?;
        part::check_names(&parts, source).map_err(one)?;
        let evaluator = into_table(expander.resolve(&self.evaluator).map_err(one)?);
        let data = into_table(expander.resolve(&self.data).map_err(one)?);
        let training = EvaluatorSpec::parse(&evaluator, source)?;
        Ok(ModelSpec {
            name: name.value,
            family: self.family,
            index,
            settings: Vec::new(),
            parts,
            training,
            evaluator,
            data,
            span: name.span,
        })
    }

    fn model_name(
        &self,
        index: usize,
        expander: &mut Expander,
    ) -> Result<Spanned<String>, Located> {
        let Some(template) = &self.name else {
            let name = format!("model{}-{index}", self.family);
            return Ok(Spanned::new(name, self.span.clone()));
        };
        let value = expander.resolve(template)?;
        if matches!(value.value, Value::Array(_) | Value::Table(_)) {
            let source = expander.work.source;
            let what = "a model's name";
            return Err(kind_mistake(
                source,
                &value.span,
                what,
                "a text",
                &value.value,
            ));
        }
        let name = Spanned::new(value.value.to_string(), value.span);
        check_name(&name).map_err(|help| {
            let message = format!("`{}` cannot name a model", shortened(&name.value));
            Located::new(expander.work.source, name.span.clone(), message).with_help(help)
        })?;
        Ok(name)
    }

    /// Which model of the block it is, for messages; nothing where there is only one.
    fn context(&self, index: usize, values: &[Value]) -> String {
        if self.count < 2 {
            return String::new();
        }
        let settings: Vec<String> = self
            .settings
            .iter()
            .zip(values)
            .take(8)
            .map(|(setting, value)| {
                format!("{} = {}", setting.name.value, shortened(&value.to_string()))
            })
            .collect();
        match settings.is_empty() {
            true => format!("in model {index} of its block"),
            false => format!(
                "in model {index} of its block, where {}",
                settings.join(", ")
            ),
        }
    }
}

fn one(mistake: Located) -> Vec<Located> {
    vec![mistake]
}

fn with_context(mistake: Located, context: &str) -> Located {
    if context.is_empty() {
        return mistake;
    }
    let help = match &mistake.help {
        Some(help) => format!("{help}; {context}"),
        None => context.to_owned(),
    };
    mistake.with_help(help)
}

/// Names become names of files and of columns, so few characters are allowed.
pub(crate) fn check_name(name: &Spanned<String>) -> Result<(), &'static str> {
    let plain = |c: char| c.is_alphanumeric() || "_-.+=,".contains(c);
    let name = &name.value;
    if name.is_empty() || name.len() > 128 {
        return Err("names have 1 to 128 bytes");
    }
    if name.starts_with('.') || !name.chars().all(plain) {
        return Err("names are of letters, digits and `_-.+=,`, and do not begin with `.`");
    }
    Ok(())
}

/// A default table with the block's own over it.
fn merged(
    block: &Table,
    key: &str,
    default: &Spanned<Table>,
    merge: fn(&Table, &Table) -> Table,
    span: &Range<usize>,
    reports: &mut Reports,
) -> Spanned<Value> {
    // A mistake in what is put together is best looked for where the block has its own, then in the
    // defaults, and where there are neither, in the block.
    let (table, place) = match block.get(key) {
        Some(Spanned {
            value: Value::Table(own),
            span,
        }) => (merge(&default.value, own), span),
        other => {
            if let Some(other) = other {
                let source = reports.source;
                let what = format!("`{key}`");
                reports.push(kind_mistake(
                    source,
                    &other.span,
                    &what,
                    "a table",
                    &other.value,
                ));
            }
            let place = if default.value.is_empty() {
                span
            } else {
                &default.span
            };
            (default.value.clone(), place)
        }
    };
    Spanned::new(Value::Table(table), place.clone())
}

fn into_table(value: Spanned<Value>) -> Spanned<Table> {
    match value.value {
        Value::Table(table) => Spanned::new(table, value.span),
        _ => Spanned::new(Table::default(), value.span),
    }
}
