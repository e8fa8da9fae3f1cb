//! Arguments of layers, losses and the like, and reading them one by one.

use std::ops::Range;

use syncarp_diag::{Located, Source};

use crate::spell;
use crate::template::kind_mistake;
use crate::value::{Spanned, Table, Value};

/// The arguments of one layer (or loss, optimizer, ...), as written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Args {
    /// The first argument, given without its name: `{ linear = 10 }`.
    pub positional: Option<Spanned<Value>>,
    /// Arguments by name.
    pub named: Table,
    /// Where they are written; for a layer without arguments, where the layer is.
    pub span: Range<usize>,
}

/// The spellings of one argument: a name, or several that mean the same, the usual one first.
pub trait Keys {
    /// All spellings, at least one.
    fn spellings(&self) -> &[&str];
}

impl Keys for &str {
    fn spellings(&self) -> &[&str] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> Keys for [&str; N] {
    fn spellings(&self) -> &[&str] {
        self
    }
}

/// Reads arguments, each at most once, and then complains about those that nobody asked for.
///
/// `-` and `_` in names are alike. Every getter ending in `_opt` gives nothing where the argument
/// is absent; the others make that a mistake.
///
/// ```
/// # use syncarp_diag::Source;
/// # use syncarp_sweep::Args;
/// # let (args, source) = (Args::default(), Source::new("", ""));
/// let mut read = args.reader(&source, "linear").positional("out_features");
/// let bias = read.bool_opt("bias")?.unwrap_or(true);
/// read.finish()?;
/// # assert!(bias);
/// # Ok::<(), syncarp_diag::Located>(())
/// ```
#[derive(Debug)]
pub struct ArgReader<'a> {
    args: &'a Args,
    source: &'a Source,
    of: &'a str,
    positional: Option<&'a str>,
    positional_used: bool,
    used: Vec<bool>,
    known: Vec<String>,
}

impl Args {
    /// Starts reading them. `of` is what they are arguments of, for messages; `source` is the
    /// sweep's.
    pub fn reader<'a>(&'a self, source: &'a Source, of: &'a str) -> ArgReader<'a> {
        ArgReader {
            args: self,
            source,
            of,
            positional: None,
            positional_used: false,
            used: vec![false; self.named.len()],
            known: Vec::new(),
        }
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.positional.is_none() && self.named.is_empty()
    }
}

fn first(key: &impl Keys) -> String {
    key.spellings()[0].to_owned()
}

fn alike(a: &str, b: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte };
    a.len() == b.len() && a.bytes().map(fold).eq(b.bytes().map(fold))
}

impl<'a> ArgReader<'a> {
    /// Says which argument an argument without a name is.
    #[must_use]
    pub fn positional(mut self, name: &'a str) -> Self {
        self.positional = Some(name);
        self
    }

    /// An argument of any kind.
    ///
    /// # Errors
    /// It is given twice, under two spellings or with and without its name.
    pub fn value_opt(&mut self, key: impl Keys) -> Result<Option<&'a Spanned<Value>>, Located> {
        let keys = key.spellings();
        self.known.push(keys[0].to_owned());
        let mut found = None;
        if let Some(value) = &self.args.positional
            && self
                .positional
                .is_some_and(|name| keys.iter().any(|key| alike(key, name)))
        {
            self.positional_used = true;
            found = Some(value);
        }
        for (place, (name, value)) in self.args.named.iter().enumerate() {
            if !keys.iter().any(|key| alike(key, &name.value)) {
                continue;
            }
            self.used[place] = true;
            if found.replace(value).is_some() {
                let message = format!("`{}` of `{}` is given twice", keys[0], self.of);
                return Err(Located::new(self.source, name.span.clone(), message));
            }
        }
        Ok(found)
    }

    /// An argument of any kind that has to be there.
    ///
    /// # Errors
    /// It is absent, or given twice.
    pub fn value(&mut self, key: impl Keys) -> Result<&'a Spanned<Value>, Located> {
        let name = first(&key);
        self.value_opt(key)?.ok_or_else(|| self.missing(&name))
    }

    fn missing(&self, name: &str) -> Located {
        let message = format!("`{}` has no `{name}`", self.of);
        Located::new(self.source, self.args.span.clone(), message)
    }

    fn typed<T>(
        &mut self,
        key: impl Keys,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Located> {
        let name = first(&key);
        let Some(found) = self.value_opt(key)? else {
            return Ok(None);
        };
        read(&found.value).map(Some).ok_or_else(|| {
            let what = format!("`{name}` of `{}`", self.of);
            let mistake = kind_mistake(self.source, &found.span, &what, wanted, &found.value);
            match found.value {
                Value::Float(number) if wanted.contains("whole") && number.fract() == 0.0 => {
                    mistake.with_help("`/` gives a float; `//` and `int(...)` give whole numbers")
                }
                _ => mistake,
            }
        })
    }

    /// A whole number of at least 0 that has to be there.
    ///
    /// # Errors
    /// It is absent, something else, or given twice.
    pub fn usize(&mut self, key: impl Keys) -> Result<usize, Located> {
        let name = first(&key);
        self.usize_opt(key)?.ok_or_else(|| self.missing(&name))
    }

    /// A whole number of at least 0 that may be absent.
    ///
    /// # Errors
    /// It is something else, or given twice.
    pub fn usize_opt(&mut self, key: impl Keys) -> Result<Option<usize>, Located> {
        self.typed(key, "a whole number of at least 0", as_usize)
    }

    /// A whole number that has to be there.
    ///
    /// # Errors
    /// It is absent, something else, or given twice.
    pub fn i64(&mut self, key: impl Keys) -> Result<i64, Located> {
        let name = first(&key);
        self.i64_opt(key)?.ok_or_else(|| self.missing(&name))
    }

    /// A whole number that may be absent.
    ///
    /// # Errors
    /// It is something else, or given twice.
    pub fn i64_opt(&mut self, key: impl Keys) -> Result<Option<i64>, Located> {
        self.typed(key, "a whole number", |value| match value {
            Value::Int(number) => Some(*number),
            _ => None,
        })
    }

    /// A number, whole or not, that has to be there.
    ///
    /// # Errors
    /// It is absent, something else, or given twice.
    pub fn f64(&mut self, key: impl Keys) -> Result<f64, Located> {
        let name = first(&key);
        self.f64_opt(key)?.ok_or_else(|| self.missing(&name))
    }

    /// A number, whole or not, that may be absent.
    ///
    /// # Errors
    /// It is something else, or given twice.
    pub fn f64_opt(&mut self, key: impl Keys) -> Result<Option<f64>, Located> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A boolean that has to be there.
    ///
    /// # Errors
    /// It is absent, something else, or given twice.
    pub fn bool(&mut self, key: impl Keys) -> Result<bool, Located> {
        let name = first(&key);
        self.bool_opt(key)?.ok_or_else(|| self.missing(&name))
    }

    /// A boolean that may be absent.
    ///
    /// # Errors
    /// It is something else, or given twice.
    pub fn bool_opt(&mut self, key: impl Keys) -> Result<Option<bool>, Located> {
        self.typed(key, "a boolean", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A string that has to be there.
    ///
    /// # Errors
    /// It is absent, something else, or given twice.
    pub fn str(&mut self, key: impl Keys) -> Result<&'a str, Located> {
        let name = first(&key);
        self.str_opt(key)?.ok_or_else(|| self.missing(&name))
    }

    /// A string that may be absent.
    ///
    /// # Errors
    /// It is something else, or given twice.
    pub fn str_opt(&mut self, key: impl Keys) -> Result<Option<&'a str>, Located> {
        self.typed(key, "a string", Value::as_str)
    }

    /// One whole number of at least 0 or an array of them, that has to be there.
    ///
    /// # Errors
    /// It is absent, something else, or given twice.
    pub fn usizes(&mut self, key: impl Keys) -> Result<Vec<usize>, Located> {
        let name = first(&key);
        self.usizes_opt(key)?.ok_or_else(|| self.missing(&name))
    }

    /// One whole number of at least 0 or an array of them; one number is an array of one.
    ///
    /// # Errors
    /// It is something else, or given twice.
    pub fn usizes_opt(&mut self, key: impl Keys) -> Result<Option<Vec<usize>>, Located> {
        self.typed(
            key,
            "a whole number of at least 0, or an array of such",
            |value| match value {
                Value::Array(items) => items.iter().map(|item| as_usize(&item.value)).collect(),
                one => as_usize(one).map(|one| vec![one]),
            },
        )
    }

    /// A table of further arguments that may be absent, such as `init = { ... }`.
    ///
    /// # Errors
    /// It is something else, or given twice.
    pub fn table_opt(&mut self, key: impl Keys) -> Result<Option<&'a Table>, Located> {
        self.typed(key, "a table", Value::as_table)
    }

    /// A mistake about an argument that is of the right kind but does not fit; it points at the
    /// argument, or where that is absent at all of them.
    pub fn mistake(&self, key: impl Keys, message: impl Into<String>) -> Located {
        let keys = key.spellings();
        let fits = |name: &str| keys.iter().any(|key| alike(key, name));
        let named = self.args.named.iter().find(|(name, _)| fits(&name.value));
        let span = match (named, &self.args.positional) {
            (Some((_, value)), _) => value.span.clone(),
            (None, Some(value)) if self.positional.is_some_and(fits) => value.span.clone(),
            _ => self.args.span.clone(),
        };
        Located::new(self.source, span, message)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// An argument was given that nobody asked for; the help names those that were asked for.
    pub fn finish(self) -> Result<(), Located> {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let what = format!("arguments of `{}`", self.of);
        if let Some((_, (name, _))) = self
            .used
            .iter()
            .zip(self.args.named.iter())
            .find(|(used, _)| !**used)
        {
            let message = format!("`{}` has no argument `{}`", self.of, name.value);
            return Err(Located::new(self.source, name.span.clone(), message)
                .with_help(spell::help(&what, &name.value, &known)));
        }
        match &self.args.positional {
            Some(value) if !self.positional_used => {
                let message = format!("`{}` takes no argument without a name", self.of);
                Err(Located::new(self.source, value.span.clone(), message)
                    .with_help(spell::help(&what, "", &known)))
            }
            _ => Ok(()),
        }
    }
}

fn as_usize(value: &Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}
