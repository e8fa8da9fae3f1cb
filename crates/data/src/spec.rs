//! What a data stream is, as users write it in a `[data]` table.

use std::fmt;
use std::path::Path;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::one_or_many;
use crate::source::{PartSource, Source};

/// What a data stream is: its files and everything that is done to their rows.
///
/// ```toml
/// [data]
/// source = "digits.csv.gz"
/// input-shape = [1, 8, 8]
/// preprocess = [{ scale = 0.0625 }]
/// split = { validation = 0.2, stratify = true }
/// batch-size = 64
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataSpec {
    /// The files, relative to the base folder (that of the file with the `[data]` table).
    pub source: Source,
    /// The files' format; guessed from the source's form and file names when absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// How CSV files are read.
    #[serde(default)]
    pub csv: CsvOptions,
    /// Whether targets are classes or values.
    #[serde(default)]
    pub target_kind: TargetKind,
    /// The shape of one input sample, without the batch axis, such as `[1, 8, 8]`; the default is
    /// `[features]` for CSV and the array's own sample shape elsewhere.
    #[serde(default)]
    pub input_shape: Option<Vec<usize>>,
    /// What is done to the values, in this order.
    #[serde(default)]
    pub preprocess: Vec<Step>,
    /// Which rows of the training source are held out.
    #[serde(default)]
    pub split: Split,
    /// The rows of one training step.
    #[serde(default = "default_batch_size")]
    pub batch_size: usize,
    /// The rows of one evaluation step.
    #[serde(default = "default_eval_batch_size")]
    pub eval_batch_size: usize,
    /// Whether each epoch visits the training rows in an order of its own.
    #[serde(default = "default_shuffle")]
    pub shuffle: bool,
    /// The seed of those orders.
    #[serde(default)]
    pub shuffle_seed: u64,
    /// Whether a last batch of fewer rows is left out.
    #[serde(default)]
    pub drop_last: bool,
}

pub(crate) const fn default_batch_size() -> usize {
    32
}

pub(crate) const fn default_eval_batch_size() -> usize {
    256
}

const fn default_shuffle() -> bool {
    true
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Delimited text, gzipped or not.
    Csv,
    /// NumPy's archive of arrays.
    Npz,
    /// The format of the MNIST files, gzipped or not.
    Idx,
}

/// Whether targets are classes or values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// Class labels, integers from 0: an `i64` column of sample shape `[]`.
    #[default]
    Class,
    /// Numbers to regress to: an `f32` column of sample shape `[]`, or `[k]` for several.
    Value,
}

/// How CSV files are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CsvOptions {
    /// Whether the first line names the columns.
    pub has_header: bool,
    /// What stands between two fields: one ASCII character.
    pub delimiter: char,
    /// The target columns, one or a list; all others are inputs. The default is the last.
    #[serde(with = "one_or_many")]
    pub target: Vec<ColumnRef>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions {
            has_header: false,
            delimiter: ',',
            target: vec![ColumnRef::Index(-1)],
        }
    }
}

/// A column of a CSV file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ColumnRef {
    /// By place: from 0 at the front, or from -1 at the end.
    Index(i64),
    /// By its name in the header.
    Name(String),
}

impl fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ColumnRef::Index(index) => write!(f, "{index}"),
            ColumnRef::Name(name) => write!(f, "`{name}`"),
        }
    }
}

/// One step of preprocessing, applied to the floating-point inputs (integer inputs are ids and
/// stay as they are). Arithmetic is in `f64`, rounded to `f32` after each step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Multiplies by a number.
    Scale(f64),
    /// Adds a number.
    Shift(f64),
    /// Subtracts the mean and divides by the deviation, given for all values at once or for each
    /// channel (index of the sample's first axis).
    Normalize {
        /// One number, or one for each channel.
        #[serde(with = "one_or_many")]
        mean: Vec<f64>,
        /// One number, or one for each channel.
        #[serde(with = "one_or_many")]
        std: Vec<f64>,
    },
    /// Subtracts the mean and divides by the deviation of each feature, both taken over the
    /// training part alone. A feature that is constant there is only centred.
    Standardize,
    /// The same for targets of kind `value`.
    StandardizeTarget,
}

/// Which rows of the training source are held out: by fractions, or by row ranges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Split {
    /// The fraction held out for validation, from 0 to below 1.
    pub validation: f64,
    /// The fraction held out for test, from 0 to below 1.
    pub test: f64,
    /// The seed that decides which rows these are.
    pub seed: u64,
    /// Whether each class keeps its proportion in every part.
    pub stratify: bool,
    /// The validation rows as `[start, end]`, the end left out, instead of a fraction.
    pub validation_rows: Option<[usize; 2]>,
    /// The test rows as `[start, end]`, the end left out, instead of a fraction.
    pub test_rows: Option<[usize; 2]>,
}

impl DataSpec {
    /// The spec of this source with every other setting at its default.
    pub fn new(source: impl Into<Source>) -> Self {
        DataSpec {
            source: source.into(),
            format: None,
            csv: CsvOptions::default(),
            target_kind: TargetKind::default(),
            input_shape: None,
            preprocess: Vec::new(),
            split: Split::default(),
            batch_size: default_batch_size(),
            eval_batch_size: default_eval_batch_size(),
            shuffle: default_shuffle(),
            shuffle_seed: 0,
            drop_last: false,
        }
    }

    /// Reads a `[data]` table that was parsed to a JSON value.
    ///
    /// # Errors
    /// [`DataError::BadSpec`] naming the setting; for an unknown one, the message lists those known.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, DataError> {
        let whole = match DataSpec::deserialize(value) {
            Ok(spec) => return Ok(spec),
            Err(error) => error,
        };
        // A JSON value carries no places, so the setting at fault is found by reading each alone.
        for (name, setting) in value.as_object().into_iter().flatten() {
            let mut alone = serde_json::Map::new();
            alone.insert("source".into(), "alone.csv".into());
            alone.insert(name.clone(), setting.clone());
            if let Err(error) = DataSpec::deserialize(&serde_json::Value::Object(alone)) {
                return Err(DataError::spec(
                    name,
                    error.to_string(),
                    "a setting as documented",
                ));
            }
        }
        Err(DataError::spec(
            "data",
            whole.to_string(),
            "a table of settings with a `source`",
        ))
    }

    /// The format of the files: as given, or guessed from the source's form and file names.
    ///
    /// # Errors
    /// [`DataError::BadSpec`] where names do not tell or parts differ, or where the format that is
    /// given does not go with the source's form.
    pub fn resolved_format(&self) -> Result<Format, DataError> {
        let mut found: Option<Format> = None;
        for (setting, part) in self.source.parts() {
            let guess = match part {
                PartSource::Arrays { .. } => Some(Format::Npz),
                PartSource::Idx { .. } => Some(Format::Idx),
                PartSource::File(file) => self.format.or_else(|| guess(file)),
            };
            let Some(format) = guess else {
                return Err(DataError::spec(
                    "format",
                    format!("the file name of `{setting}` does not tell the format"),
                    "`format` to be one of `csv`, `npz`, `idx`",
                ));
            };
            if format == Format::Idx && !matches!(part, PartSource::Idx { .. }) {
                return Err(DataError::spec(
                    setting,
                    "IDX data are two files",
                    "a table with `images` and `labels`",
                ));
            }
            if let Some(other) = self.format.or(found)
                && other != format
            {
                return Err(DataError::spec(
                    setting,
                    format!("it is {format:?} where {other:?} is asked for"),
                    "one format for all parts, in the form that goes with it",
                ));
            }
            found = Some(format);
        }
        found.ok_or_else(|| DataError::spec("source", "it names no file", "a file"))
    }

    /// Checks what can be checked without reading any file.
    ///
    /// # Errors
    /// [`DataError::BadSpec`] naming the first setting that is wrong.
    pub fn check(&self) -> Result<(), DataError> {
        let format = self.resolved_format()?;
        for (setting, part) in self.source.parts() {
            if let PartSource::Arrays {
                inputs, targets, ..
            } = part
                && (inputs.is_empty() || targets.is_empty())
            {
                return Err(DataError::spec(
                    setting,
                    "a list of arrays is empty",
                    "an array name",
                ));
            }
        }
        if format != Format::Csv && self.csv != CsvOptions::default() {
            let message = format!("the files are {format:?}");
            return Err(DataError::spec("csv", message, "`csv` with CSV files only"));
        }
        self.csv.check(self.target_kind)?;
        if let Some(shape) = &self.input_shape
            && shape.contains(&0)
        {
            return Err(DataError::spec(
                "input-shape",
                "a size is 0",
                "sizes of at least 1",
            ));
        }
        for step in &self.preprocess {
            step.check(self.target_kind)?;
        }
        self.split.check(&self.source, self.target_kind)?;
        check_batch_size("batch-size", self.batch_size)?;
        check_batch_size("eval-batch-size", self.eval_batch_size)
    }
}

/// Checks that a batch has at least one row.
pub(crate) fn check_batch_size(setting: &str, size: usize) -> Result<(), DataError> {
    if size == 0 || size > u32::MAX as usize {
        let message = format!("{size} rows a batch");
        return Err(DataError::spec(
            setting,
            message,
            "from 1 to 4294967295 rows",
        ));
    }
    Ok(())
}

fn guess(file: &Path) -> Option<Format> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if name.ends_with(".csv") {
        Some(Format::Csv)
    } else if name.ends_with(".npz") {
        Some(Format::Npz)
    } else if name.ends_with(".idx") || name.ends_with("-ubyte") {
        Some(Format::Idx)
    } else {
        None
    }
}

impl CsvOptions {
    fn check(&self, kind: TargetKind) -> Result<(), DataError> {
        if !self.delimiter.is_ascii() || "\"\r\n".contains(self.delimiter) {
            let message = format!("{:?} cannot stand between fields", self.delimiter);
            return Err(DataError::spec(
                "csv.delimiter",
                message,
                "one ASCII character",
            ));
        }
        if self.target.is_empty() {
            return Err(DataError::spec(
                "csv.target",
                "it names no column",
                "a target column",
            ));
        }
        if kind == TargetKind::Class && self.target.len() > 1 {
            let message = format!("{} target columns of kind `class`", self.target.len());
            let expected = "one column, or `target-kind = \"value\"`";
            return Err(DataError::spec("csv.target", message, expected));
        }
        let named = self
            .target
            .iter()
            .any(|target| matches!(target, ColumnRef::Name(_)));
        if named && !self.has_header {
            let message = "a column is named but the file is said to have no header";
            let expected = "`csv.has-header = true`, or a column's index";
            return Err(DataError::spec("csv.target", message, expected));
        }
        Ok(())
    }
}

impl Step {
    fn check(&self, kind: TargetKind) -> Result<(), DataError> {
        let bad = |message: String, expected| Err(DataError::spec("preprocess", message, expected));
        match self {
            Step::Scale(value) | Step::Shift(value) if !value.is_finite() => {
                bad(format!("{value} is not finite"), "a finite number")
            }
            Step::Normalize { mean, std } => {
                if mean.is_empty() || std.is_empty() {
                    return bad("`normalize` without numbers".into(), "a `mean` and a `std`");
                }
                if let Some(value) = mean.iter().find(|value| !value.is_finite()) {
                    return bad(format!("the mean {value}"), "finite numbers");
                }
                if let Some(value) = std.iter().find(|v| !(v.is_finite() && **v > 0.0)) {
                    return bad(format!("the deviation {value}"), "finite numbers above 0");
                }
                Ok(())
            }
            Step::StandardizeTarget if kind == TargetKind::Class => bad(
                "`standardize-target` with class targets".into(),
                "`target-kind = \"value\"`, or the step left out",
            ),
            _ => Ok(()),
        }
    }
}

impl Split {
    fn check(&self, source: &Source, kind: TargetKind) -> Result<(), DataError> {
        for (setting, fraction) in [
            ("split.validation", self.validation),
            ("split.test", self.test),
        ] {
            if !(0.0..1.0).contains(&fraction) {
                let message = format!("the fraction {fraction}");
                return Err(DataError::spec(
                    setting,
                    message,
                    "a number from 0 to below 1",
                ));
            }
        }
        if self.validation + self.test >= 1.0 {
            let message = "the fractions leave nothing to train on";
            return Err(DataError::spec(
                "split",
                message,
                "fractions that add up to below 1",
            ));
        }
        let by_rows = self.validation_rows.is_some() || self.test_rows.is_some();
        if by_rows && (self.validation > 0.0 || self.test > 0.0 || self.stratify) {
            let message = "both fractions and row ranges";
            return Err(DataError::spec("split", message, "one or the other"));
        }
        if self.stratify && kind == TargetKind::Value {
            let message = "targets of kind `value` have no classes";
            return Err(DataError::spec(
                "split.stratify",
                message,
                "`target-kind = \"class\"`",
            ));
        }
        if let Source::Parts {
            validation, test, ..
        } = source
        {
            for (setting, given, held) in [
                ("split.validation", validation, self.validation > 0.0),
                ("split.test", test, self.test > 0.0),
                (
                    "split.validation-rows",
                    validation,
                    self.validation_rows.is_some(),
                ),
                ("split.test-rows", test, self.test_rows.is_some()),
            ] {
                if given.is_some() && held {
                    let message = "the source already has a file for this part";
                    return Err(DataError::spec(setting, message, "one or the other"));
                }
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for ColumnRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reference;
        impl Visitor<'_> for Reference {
            type Value = ColumnRef;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a column's name or index, or a list of these")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<ColumnRef, E> {
                Ok(ColumnRef::Name(name.to_string()))
            }

            fn visit_i64<E: Error>(self, index: i64) -> Result<ColumnRef, E> {
                Ok(ColumnRef::Index(index))
            }

            fn visit_u64<E: Error>(self, index: u64) -> Result<ColumnRef, E> {
                i64::try_from(index)
                    .map(ColumnRef::Index)
                    .map_err(|_| E::custom(format_args!("no file has a column {index}")))
            }
        }
        deserializer.deserialize_any(Reference)
    }
}
