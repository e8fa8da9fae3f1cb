//! What a spec means: its files by content, its settings in full, and the key that follows.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::DataError;
use crate::files::Files;
use crate::source::{PartSource, Source};
use crate::spec::{DataSpec, Format};

/// A stable name of a data stream: 64 hexadecimal digits.
///
/// Two streams have equal keys exactly when their files have equal contents and all settings are
/// equal; where the files lie does not matter. Models may be merged only when their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DataKey(pub(crate) String);

impl DataKey {
    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A setting in which two data streams differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The setting's dotted name, such as `split.seed`.
    pub setting: String,
    /// Its value in the first stream, as JSON, or `(not set)`.
    pub a: String,
    /// Its value in the second.
    pub b: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {} against {}", self.setting, self.a, self.b)
    }
}

/// A spec with nothing left open: the format is set, and every file is known by its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The spec, with the format and the default array names filled in.
    pub spec: DataSpec,
    /// The files in the order in which the spec names them.
    pub files: Vec<ResolvedFile>,
}

/// A file of a resolved spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedFile {
    /// The setting that names it, such as `source.train.images`.
    pub setting: String,
    /// Its path, joined with the base folder.
    pub path: PathBuf,
    /// The BLAKE3 hash of its bytes as they lie there, in hexadecimal.
    pub hash: String,
}

impl DataSpec {
    /// Reads and hashes the files and fills in what the spec leaves open. Relative paths start
    /// at `base_dir`.
    ///
    /// # Errors
    /// [`DataError::BadSpec`] where a setting is wrong, [`DataError::Io`] where a file cannot be read.
    pub fn resolve(&self, base_dir: &Path) -> Result<Resolved, DataError> {
        resolve(self, base_dir, &mut Files::default())
    }

    /// The key of a resolved spec.
    pub fn key(resolved: &Resolved) -> DataKey {
        resolved.key()
    }

    /// The settings in which two specs differ, file contents left aside.
    pub fn differences(&self, other: &DataSpec) -> Vec<Difference> {
        differences(&settings(self), &settings(other))
    }
}

/// Resolves a spec and keeps the bytes of its files, so that what is hashed is what is parsed.
pub(crate) fn resolve(
    spec: &DataSpec,
    base_dir: &Path,
    files: &mut Files,
) -> Result<Resolved, DataError> {
    spec.check()?;
    let mut spec = spec.clone();
    let format = spec.resolved_format()?;
    spec.format = Some(format);
    if format == Format::Npz {
        match &mut spec.source {
            Source::One(part) => name_default_arrays(part),
            Source::Parts {
                train,
                validation,
                test,
            } => {
                name_default_arrays(train);
                validation
                    .iter_mut()
                    .chain(test)
                    .for_each(name_default_arrays);
            }
        }
    }
    let mut resolved = Vec::new();
    for (setting, part) in spec.source.parts() {
        for (suffix, file) in part.files() {
            let path = base_dir.join(file);
            let hash = files.read(&path)?.hash.clone();
            resolved.push(ResolvedFile {
                setting: format!("{setting}{suffix}"),
                path,
                hash,
            });
        }
    }
    Ok(Resolved {
        spec,
        files: resolved,
    })
}

fn name_default_arrays(part: &mut PartSource) {
    if let PartSource::File(file) = part {
        *part = PartSource::Arrays {
            file: std::mem::take(file),
            inputs: vec!["x".to_string()],
            targets: vec!["y".to_string()],
        };
    }
}

impl Resolved {
    /// The key, made of all settings and of file contents in place of paths.
    pub fn key(&self) -> DataKey {
        key_of("files", &self.settings())
    }

    /// The settings in which two resolved specs differ; files count by their contents.
    pub fn differences(&self, other: &Resolved) -> Vec<Difference> {
        let mut found = differences(&self.settings(), &other.settings());
        for difference in &mut found {
            difference.a = self.describe(&difference.setting, &difference.a);
            difference.b = other.describe(&difference.setting, &difference.b);
        }
        found
    }

    /// All settings, with each file's hash in place of its path.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let mut settings = settings(&self.spec);
        for (name, value) in &mut settings {
            if let Some(file) = self.files.iter().find(|file| file.setting == *name) {
                value.clone_from(&file.hash);
            }
        }
        settings
    }

    /// A setting's value for people: a file by its path and the start of its hash.
    fn describe(&self, setting: &str, value: &str) -> String {
        match self.files.iter().find(|file| file.setting == setting) {
            Some(file) => {
                format!(
                    "{} (content {})",
                    file.path.display(),
                    file.hash.get(..12).unwrap_or("")
                )
            }
            None => value.to_string(),
        }
    }
}

/// The key of a stream of this origin and these settings, in whatever order they come. Lengths are
/// hashed with the texts, so that no two different lists of settings run together to the same bytes.
pub(crate) fn key_of(origin: &str, settings: &[(String, String)]) -> DataKey {
    let mut hasher = blake3::Hasher::new();
    let mut text = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    text("syncarp data stream 1");
    text(origin);
    let mut sorted: Vec<_> = settings.iter().collect();
    sorted.sort_unstable();
    for (name, value) in sorted {
        text(name);
        text(value);
    }
    DataKey(hasher.finalize().to_hex().to_string())
}

/// All settings of a spec by dotted name, in the order of their declaration, values as JSON.
fn settings(spec: &DataSpec) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    match serde_json::to_value(spec) {
        Ok(value) => flatten(String::new(), &value, &mut settings),
        // Only a path that is not Unicode cannot be written as JSON; its debug form still tells
        // it apart from every other.
        Err(_) => settings.push(("spec".to_string(), format!("{spec:?}"))),
    }
    settings
}

fn flatten(prefix: String, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let dot = if prefix.is_empty() { "" } else { "." };
                flatten(format!("{prefix}{dot}{name}"), value, into);
            }
        }
        Value::Null => into.push((prefix, NOT_SET.to_string())),
        value => into.push((prefix, value.to_string())),
    }
}

const NOT_SET: &str = "(not set)";

/// The settings whose values differ; one that a list lacks counts as not set there.
pub(crate) fn differences(a: &[(String, String)], b: &[(String, String)]) -> Vec<Difference> {
    let value_in = |list: &[(String, String)], name: &str| -> String {
        let found = list.iter().find(|(other, _)| other == name);
        found.map_or(NOT_SET, |(_, value)| value).to_string()
    };
    let only_in_b = b
        .iter()
        .filter(|(name, _)| !a.iter().any(|(other, _)| other == name));
    a.iter()
        .chain(only_in_b)
        .map(|(name, _)| Difference {
            setting: name.clone(),
            a: value_in(a, name),
            b: value_in(b, name),
        })
        .filter(|difference| difference.a != difference.b)
        .collect()
}
