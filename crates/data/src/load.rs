//! From a spec to parts in memory: reading, naming, shaping, splitting, preprocessing.

use std::path::{Path, PathBuf};

use crate::dataset::{Array, Column, DataParts, Dataset, same_columns};
use crate::error::{DataError, Fault};
use crate::files::Files;
use crate::resolve::{Resolved, resolve};
use crate::source::PartSource;
use crate::spec::DataSpec;
use crate::split::split;
use crate::{csv, idx, npz, preprocess};

/// Reads the files of a spec and does all that it asks for.
pub(crate) fn load(spec: &DataSpec, base_dir: &Path) -> Result<(Resolved, DataParts), DataError> {
    let mut files = Files::default();
    let resolved = resolve(spec, base_dir, &mut files)?;
    let spec = &resolved.spec;

    let mut train: Option<Part> = None;
    let (mut validation, mut test) = (None, None);
    for (setting, source) in spec.source.parts() {
        let mut part = read(spec, source, base_dir, &files)?;
        let Some(train) = &train else {
            train = Some(part);
            continue;
        };
        // Arrays of other parts mostly have other names (`x_train`, `x_test`); they stand for
        // the same columns in the same order.
        part.take_names(train);
        part.check_against(setting, train)?;
        match setting {
            "source.validation" => validation = Some(part.data),
            _ => test = Some(part.data),
        }
    }
    let Some(Part {
        data: mut train, ..
    }) = train
    else {
        return Err(DataError::spec("source", "it names no file", "a file"));
    };

    let held = &spec.split;
    let splits = held.validation > 0.0
        || held.test > 0.0
        || held.validation_rows.is_some()
        || held.test_rows.is_some();
    if splits {
        let labels = match train.targets() {
            [
                Column {
                    data: Array::I64(labels),
                    shape,
                    ..
                },
                ..,
            ] if shape.is_empty() => Some(&labels[..]),
            _ => None,
        };
        if held.stratify && labels.is_none() {
            let message = "the first target is not one label a row";
            return Err(DataError::spec(
                "split.stratify",
                message,
                "one label a row, or `false`",
            ));
        }
        let rows = split(held, train.rows(), labels)?;
        let some = |rows: &[u32]| (!rows.is_empty()).then(|| train.select(rows));
        validation = validation.or_else(|| some(&rows.validation));
        test = test.or_else(|| some(&rows.test));
        train = train.select(&rows.train);
    }
    let mut parts = DataParts::new(train, validation, test)?;
    preprocess::apply(&mut parts, &spec.preprocess)?;
    Ok((resolved, parts))
}

/// One part as its files hold it.
struct Part {
    data: Dataset,
    header: Option<Vec<String>>,
    /// The file to name where the part does not fit the others.
    path: PathBuf,
}

fn read(
    spec: &DataSpec,
    source: &PartSource,
    base_dir: &Path,
    files: &Files,
) -> Result<Part, DataError> {
    let mut header = None;
    let (mut inputs, mut targets, path) = match source {
        PartSource::File(file) => {
            let path = base_dir.join(file);
            let table = csv::read(files.bytes(&path)?, &path, &spec.csv, spec.target_kind)
                .map_err(|error| error.at(&path))?;
            header = table.header;
            (vec![table.input], vec![table.target], path)
        }
        PartSource::Arrays {
            file,
            inputs,
            targets,
        } => {
            let path = base_dir.join(file);
            let (inputs, targets) =
                npz::read(files.bytes(&path)?, inputs, targets, spec.target_kind)
                    .map_err(|fault| fault.at(&path))?;
            (inputs, targets, path)
        }
        PartSource::Idx { images, labels } => {
            let (images, labels) = (base_dir.join(images), base_dir.join(labels));
            let input =
                idx::read_inputs(files.bytes(&images)?, &images).map_err(|f| f.at(&images))?;
            let target = idx::read_targets(files.bytes(&labels)?, &labels, spec.target_kind)
                .map_err(|fault| fault.at(&labels))?;
            let count = |column: &Column| column.data.len() / column.sample_len().max(1);
            if count(&input) != count(&target) {
                let message = format!("it has {} labels", count(&target));
                let expected = format!("{} as in `{}`", count(&input), images.display());
                return Err(Fault::new("byte 4", message, expected).at(&labels));
            }
            (vec![input], vec![target], labels)
        }
    };
    for (columns, name) in [(&mut inputs, "x"), (&mut targets, "y")] {
        if let [column] = &mut columns[..] {
            column.name = name.to_string();
        }
    }
    let mut names: Vec<&str> = inputs
        .iter()
        .chain(&targets)
        .map(|c| c.name.as_str())
        .collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("two columns would be named `{}`", pair[0]);
        let expected = "names that differ (a single input is named `x`, a single target `y`)";
        return Err(DataError::spec("source", message, expected));
    }
    if let Some(shape) = &spec.input_shape {
        reshape(&mut inputs, shape)?;
    }
    Ok(Part {
        data: Dataset::new(inputs, targets)?,
        header,
        path,
    })
}

fn reshape(inputs: &mut [Column], shape: &[usize]) -> Result<(), DataError> {
    let [input] = inputs else {
        let message = format!("there are {} inputs", inputs.len());
        return Err(DataError::spec(
            "input-shape",
            message,
            "a single input, or no such setting",
        ));
    };
    let shaped = Column::new("", shape, Array::F32(Vec::new()));
    if shaped.sample_len() != input.sample_len() {
        let message = format!("{shape:?} holds {} values", shaped.sample_len());
        let expected = format!(
            "{} as in one sample {:?} of the data",
            input.sample_len(),
            input.shape
        );
        return Err(DataError::spec("input-shape", message, expected));
    }
    input.shape = shaped.shape;
    Ok(())
}

impl Part {
    fn take_names(&mut self, train: &Part) {
        let pairs = |own: &mut [Column], names: &[Column]| {
            for (own, train) in own.iter_mut().zip(names) {
                own.name.clone_from(&train.name);
            }
        };
        pairs(self.data.inputs_mut(), train.data.inputs());
        pairs(self.data.targets_mut(), train.data.targets());
    }

    fn check_against(&self, setting: &str, train: &Part) -> Result<(), DataError> {
        if self.header != train.header {
            let message = "the column names differ from those of the training file";
            let expected = format!("the header of `{}`", train.path.display());
            return Err(Fault::new("line 1", message, expected).at(&self.path));
        }
        let part = setting.rsplit('.').next().unwrap_or(setting);
        same_columns(part, &train.data, &self.data).map_err(|error| match error {
            DataError::BadParts {
                column,
                message,
                expected,
            } => Fault::new(format!("column `{column}`"), message, expected).at(&self.path),
            error => error,
        })
    }
}
