//! Where a data stream's rows come from, as users write it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::one_or_many;

/// The files of a data stream: one that is split, or one for each part.
///
/// Written as a path, as `{ file, inputs, targets }` (arrays of an NPZ file), as
/// `{ images, labels }` (IDX files), or as `{ train, validation, test }` of any of these.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// One source for everything; validation and test rows are held out of it.
    One(PartSource),
    /// A source for each part.
    Parts {
        /// The training rows.
        train: PartSource,
        /// The validation rows, where they are not held out of the training source.
        #[serde(skip_serializing_if = "Option::is_none")]
        validation: Option<PartSource>,
        /// The test rows, where they are not held out of the training source.
        #[serde(skip_serializing_if = "Option::is_none")]
        test: Option<PartSource>,
    },
}

/// The files of one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PartSource {
    /// A CSV file, or an NPZ file with one input array `x` and one target array `y`.
    File(PathBuf),
    /// Named arrays of an NPZ file.
    Arrays {
        /// The NPZ file.
        file: PathBuf,
        /// The names of the input arrays.
        inputs: Vec<String>,
        /// The names of the target arrays.
        targets: Vec<String>,
    },
    /// A pair of IDX files.
    Idx {
        /// The inputs, one sample for each index of the first axis.
        images: PathBuf,
        /// The targets, in the same order.
        labels: PathBuf,
    },
}

impl PartSource {
    /// The files with the name of the setting that each stands under.
    pub(crate) fn files(&self) -> Vec<(&'static str, &Path)> {
        match self {
            PartSource::File(file) => vec![("", file)],
            PartSource::Arrays { file, .. } => vec![(".file", file)],
            PartSource::Idx { images, labels } => vec![(".images", images), (".labels", labels)],
        }
    }
}

impl Source {
    /// The sources of the parts, in the order train, validation, test, with their settings' names.
    pub(crate) fn parts(&self) -> Vec<(&'static str, &PartSource)> {
        match self {
            Source::One(part) => vec![("source", part)],
            Source::Parts {
                train,
                validation,
                test,
            } => {
                let mut parts = vec![("source.train", train)];
                parts.extend(validation.iter().map(|part| ("source.validation", part)));
                parts.extend(test.iter().map(|part| ("source.test", part)));
                parts
            }
        }
    }
}

impl From<&str> for Source {
    fn from(path: &str) -> Self {
        Source::One(PartSource::File(path.into()))
    }
}

const FORMS: &str = "a path, a table with `file`, `inputs` and `targets` (NPZ), or a table with \
                     `images` and `labels` (IDX)";

/// All keys that a table of a part may have; which of them go together is checked afterwards,
/// so that messages can name the key that is missing or too many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartKeys {
    file: Option<PathBuf>,
    inputs: Option<Names>,
    targets: Option<Names>,
    images: Option<PathBuf>,
    labels: Option<PathBuf>,
}

impl PartKeys {
    fn check<E: Error>(self) -> Result<PartSource, E> {
        let PartKeys {
            file,
            inputs,
            targets,
            images,
            labels,
        } = self;
        match (file, images, labels) {
            (Some(file), None, None) => {
                if inputs.is_none() && targets.is_none() {
                    return Ok(PartSource::File(file));
                }
                let names = |names: Option<Names>, default: &str| match names {
                    Some(names) => names.0,
                    None => vec![default.to_string()],
                };
                Ok(PartSource::Arrays {
                    file,
                    inputs: names(inputs, "x"),
                    targets: names(targets, "y"),
                })
            }
            (None, Some(images), Some(labels)) if inputs.is_none() && targets.is_none() => {
                Ok(PartSource::Idx { images, labels })
            }
            (None, Some(_), None) => Err(E::missing_field("labels")),
            (None, None, Some(_)) => Err(E::missing_field("images")),
            (None, None, None) => Err(E::missing_field("file")),
            _ => Err(E::custom(format_args!(
                "`source` mixes keys of two forms; expected {FORMS}"
            ))),
        }
    }
}

/// The keys of `source` itself: those of a part, or the parts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceKeys {
    file: Option<PathBuf>,
    inputs: Option<Names>,
    targets: Option<Names>,
    images: Option<PathBuf>,
    labels: Option<PathBuf>,
    train: Option<PartSource>,
    validation: Option<PartSource>,
    test: Option<PartSource>,
}

impl SourceKeys {
    fn check<E: Error>(self) -> Result<Source, E> {
        let SourceKeys {
            file,
            inputs,
            targets,
            images,
            labels,
            train,
            validation,
            test,
        } = self;
        let part = PartKeys {
            file,
            inputs,
            targets,
            images,
            labels,
        };
        if train.is_none() && validation.is_none() && test.is_none() {
            return part.check().map(Source::One);
        }
        let PartKeys {
            file: None,
            inputs: None,
            targets: None,
            images: None,
            labels: None,
        } = part
        else {
            return Err(E::custom(
                "`source` has both parts and keys of one part; expected `train`, `validation` and \
                 `test`, each with its own files",
            ));
        };
        let train = train.ok_or_else(|| E::missing_field("train"))?;
        Ok(Source::Parts {
            train,
            validation,
            test,
        })
    }
}

impl<'de> Deserialize<'de> for PartSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Part;
        impl<'de> Visitor<'de> for Part {
            type Value = PartSource;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(FORMS)
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<PartSource, E> {
                Ok(PartSource::File(path.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PartSource, A::Error> {
                PartKeys::deserialize(MapAccessDeserializer::new(map))?.check()
            }
        }
        deserializer.deserialize_any(Part)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Source;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                write!(
                    f,
                    "{FORMS}, or a table with `train`, `validation` and `test` of these"
                )
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<Source, E> {
                Ok(Source::from(path))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                SourceKeys::deserialize(MapAccessDeserializer::new(map))?.check()
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One array's name, or a list of them.
#[derive(Deserialize)]
struct Names(#[serde(with = "one_or_many")] Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value) -> Result<Source, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn every_form_reads_and_writes_back_to_itself() {
        for value in [
            json!("a.csv"),
            json!({ "file": "a.npz", "inputs": ["p", "q"], "targets": ["t"] }),
            json!({ "images": "i.idx", "labels": "l.idx" }),
            json!({ "train": "a.csv", "test": "b.csv" }),
            json!({
                "train": { "file": "a.npz", "inputs": ["x_train"], "targets": ["y_train"] },
                "validation": { "file": "a.npz", "inputs": ["x_val"], "targets": ["y_val"] },
            }),
        ] {
            let source = read(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&source).unwrap(), value);
        }
        assert_eq!(
            read(json!({ "file": "a.npz", "inputs": "img" })).unwrap(),
            Source::One(PartSource::Arrays {
                file: "a.npz".into(),
                inputs: vec!["img".into()],
                targets: vec!["y".into()],
            })
        );
        assert_eq!(
            read(json!({ "file": "a.csv" })).unwrap(),
            Source::from("a.csv")
        );
    }

    #[test]
    fn mixed_missing_and_unknown_keys_are_told() {
        let error = |value| read(value).unwrap_err();
        assert!(error(json!({ "images": "a" })).contains("missing field `labels`"));
        assert!(error(json!({ "labels": "a" })).contains("missing field `images`"));
        assert!(error(json!({})).contains("missing field `file`"));
        assert!(error(json!({ "test": "a" })).contains("missing field `train`"));
        assert!(error(json!({ "file": "a", "images": "b" })).contains("mixes"));
        assert!(error(json!({ "train": "a", "file": "b" })).contains("both parts"));
        let unknown = error(json!({ "trian": "a" }));
        assert!(unknown.contains("unknown field `trian`"), "{unknown}");
        assert!(
            unknown.contains("`train`, `validation`, `test`"),
            "{unknown}"
        );
        assert!(error(json!(3)).contains("a path, a table with"));
        assert!(error(json!({ "train": { "flie": "a" } })).contains("unknown field `flie`"));
    }
}
