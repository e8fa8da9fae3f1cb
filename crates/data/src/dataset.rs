//! Rows in memory: typed columns, data sets and their parts.

use crate::elements::MAX_LABEL;
use crate::error::DataError;

/// The values of a column, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Numbers.
    F32(Vec<f32>),
    /// Class labels or ids.
    I64(Vec<i64>),
}

impl Array {
    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Array::F32(values) => values.len(),
            Array::I64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type as users know it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Array::F32(_) => "f32",
            Array::I64(_) => "i64",
        }
    }

    /// The values of these rows, where a row has `size` values. Rows must exist.
    pub(crate) fn select(&self, rows: &[u32], size: usize) -> Array {
        fn pick<T: Copy>(values: &[T], rows: &[u32], size: usize) -> Vec<T> {
            let mut picked = Vec::with_capacity(rows.len() * size);
            for &row in rows {
                let start = row as usize * size;
                picked.extend_from_slice(&values[start..start + size]);
            }
            picked
        }
        match self {
            Array::F32(values) => Array::F32(pick(values, rows, size)),
            Array::I64(values) => Array::I64(pick(values, rows, size)),
        }
    }
}

/// A named input or target with one sample a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// `x` or `y` where there is one input or target, else the name of its array.
    pub name: String,
    /// The shape of one sample, without the row axis; empty for one number a row.
    pub shape: Vec<usize>,
    /// The values of all rows.
    pub data: Array,
    /// For class targets, one more than the largest label in any part; set by [`DataParts::new`].
    pub classes: Option<usize>,
}

impl Column {
    /// A column of this name, sample shape and data.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>, data: Array) -> Self {
        Column {
            name: name.into(),
            shape: shape.into(),
            data,
            classes: None,
        }
    }

    /// The number of values in one sample, saturating for absurd shapes.
    pub fn sample_len(&self) -> usize {
        self.shape
            .iter()
            .fold(1, |product, &size| product.saturating_mul(size))
    }

    /// Copies rows of an `f32` column into `out`, which must hold exactly `rows.len()` samples.
    ///
    /// # Errors
    /// [`DataError::BadGather`] for another element type, another length or a row out of range;
    /// `out` may then be partly written.
    pub fn gather_f32(&self, rows: &[u32], out: &mut [f32]) -> Result<(), DataError> {
        self.gather(rows, out, self.f32s()?, |value| value)
    }

    /// Copies rows of an `f32` column, widened, into `out`, which must hold exactly `rows.len()`
    /// samples.
    ///
    /// # Errors
    /// As [`Column::gather_f32`].
    pub fn gather_f64(&self, rows: &[u32], out: &mut [f64]) -> Result<(), DataError> {
        self.gather(rows, out, self.f32s()?, f64::from)
    }

    /// Copies rows of an `i64` column into `out`, which must hold exactly `rows.len()` samples.
    ///
    /// # Errors
    /// As [`Column::gather_f32`].
    pub fn gather_i64(&self, rows: &[u32], out: &mut [i64]) -> Result<(), DataError> {
        match &self.data {
            Array::I64(values) => self.gather(rows, out, values, |value| value),
            Array::F32(_) => Err(self.bad_gather("it holds f32, not i64".to_string())),
        }
    }

    fn f32s(&self) -> Result<&[f32], DataError> {
        match &self.data {
            Array::F32(values) => Ok(values),
            Array::I64(_) => Err(self.bad_gather("it holds i64, not f32".to_string())),
        }
    }

    fn gather<T: Copy, U>(
        &self,
        rows: &[u32],
        out: &mut [U],
        values: &[T],
        convert: impl Fn(T) -> U,
    ) -> Result<(), DataError> {
        let size = self.sample_len();
        if size == 0 || rows.len().checked_mul(size) != Some(out.len()) {
            return Err(self.bad_gather(format!(
                "the buffer holds {} values where {} rows of {size} were asked for",
                out.len(),
                rows.len(),
            )));
        }
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(size)) {
            let start = (row as usize).saturating_mul(size);
            let Some(sample) = values.get(start..start.saturating_add(size)) else {
                let rows = values.len() / size;
                return Err(self.bad_gather(format!("row {row} of {rows} does not exist")));
            };
            for (out, &value) in out.iter_mut().zip(sample) {
                *out = convert(value);
            }
        }
        Ok(())
    }

    fn bad_gather(&self, message: String) -> DataError {
        DataError::BadGather {
            column: self.name.clone(),
            message,
        }
    }
}

/// Rows with their inputs and targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    inputs: Vec<Column>,
    targets: Vec<Column>,
    rows: usize,
}

impl Dataset {
    /// The rows of these columns.
    ///
    /// # Errors
    /// [`DataError::BadParts`] where there is no input or no row, where columns disagree on the
    /// number of rows or share a name, or where a shape does not divide a column's length.
    pub fn new(inputs: Vec<Column>, targets: Vec<Column>) -> Result<Self, DataError> {
        if inputs.is_empty() {
            return Err(DataError::parts(
                "(all)",
                "there is no input column",
                "at least one",
            ));
        }
        let mut rows = None;
        let mut names: Vec<&str> = Vec::new();
        for column in inputs.iter().chain(&targets) {
            let size = column.sample_len();
            if size == 0 || !column.data.len().is_multiple_of(size) {
                return Err(DataError::parts(
                    &column.name,
                    format!(
                        "{} values do not make samples {:?}",
                        column.data.len(),
                        column.shape
                    ),
                    "whole samples of at least one value",
                ));
            }
            let count = column.data.len() / size;
            if count == 0 || count > u32::MAX as usize {
                let message = format!("it has {count} rows");
                return Err(DataError::parts(
                    &column.name,
                    message,
                    "1 to 4294967295 rows",
                ));
            }
            if *rows.get_or_insert(count) != count {
                let message = format!("it has {count} rows where `{}` has others", names[0]);
                return Err(DataError::parts(&column.name, message, "equally many"));
            }
            if names.contains(&column.name.as_str()) {
                let message = "two columns have this name";
                return Err(DataError::parts(&column.name, message, "names that differ"));
            }
            names.push(&column.name);
        }
        Ok(Dataset {
            rows: rows.unwrap_or(0),
            inputs,
            targets,
        })
    }

    /// The inputs.
    pub fn inputs(&self) -> &[Column] {
        &self.inputs
    }

    /// The targets; empty for data without any.
    pub fn targets(&self) -> &[Column] {
        &self.targets
    }

    /// The number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The input or target of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns().find(|column| column.name == name)
    }

    /// All columns, inputs first.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.inputs.iter().chain(&self.targets)
    }

    pub(crate) fn inputs_mut(&mut self) -> &mut [Column] {
        &mut self.inputs
    }

    pub(crate) fn targets_mut(&mut self) -> &mut [Column] {
        &mut self.targets
    }

    /// The data set of these rows, which must exist and not be none.
    pub(crate) fn select(&self, rows: &[u32]) -> Dataset {
        let pick = |columns: &[Column]| -> Vec<Column> {
            columns
                .iter()
                .map(|column| Column {
                    name: column.name.clone(),
                    shape: column.shape.clone(),
                    data: column.data.select(rows, column.sample_len()),
                    classes: column.classes,
                })
                .collect()
        };
        Dataset {
            inputs: pick(&self.inputs),
            targets: pick(&self.targets),
            rows: rows.len(),
        }
    }
}

/// The data sets that a model is trained and judged on.
#[derive(Debug, Clone, PartialEq)]
pub struct DataParts {
    train: Dataset,
    validation: Option<Dataset>,
    test: Option<Dataset>,
}

impl DataParts {
    /// These parts. Integer targets are class labels; their numbers of classes are counted over
    /// all parts.
    ///
    /// # Errors
    /// [`DataError::BadParts`] where the parts' columns differ in name, shape or element type, or
    /// where a class label is negative or absurdly large.
    pub fn new(
        train: Dataset,
        validation: Option<Dataset>,
        test: Option<Dataset>,
    ) -> Result<Self, DataError> {
        let mut parts = DataParts {
            train,
            validation,
            test,
        };
        for (part, data) in parts.named().skip(1) {
            same_columns(part, &parts.train, data)?;
        }
        for index in 0..parts.train.targets.len() {
            let mut largest = None;
            for (part, data) in parts.named() {
                let column = &data.targets[index];
                let Array::I64(labels) = &column.data else {
                    continue;
                };
                if let Some(at) = labels
                    .iter()
                    .position(|label| !(0..=MAX_LABEL).contains(label))
                {
                    let row = at / column.sample_len();
                    let message = format!("{} in row {row} of the {part} part", labels[at]);
                    let expected = "class labels from 0 to 2147483647";
                    return Err(DataError::parts(&column.name, message, expected));
                }
                largest = largest.max(labels.iter().copied().max());
            }
            let classes = largest.map(|label| label as usize + 1);
            for data in parts.each_mut() {
                data.targets[index].classes = classes;
            }
        }
        Ok(parts)
    }

    /// The rows to train on.
    pub fn train(&self) -> &Dataset {
        &self.train
    }

    /// The rows to judge by while training, if any.
    pub fn validation(&self) -> Option<&Dataset> {
        self.validation.as_ref()
    }

    /// The rows to judge by at the end, if any.
    pub fn test(&self) -> Option<&Dataset> {
        self.test.as_ref()
    }

    /// The parts that exist, with their names, the training part first.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Dataset)> {
        [("train", Some(&self.train))]
            .into_iter()
            .chain([
                ("validation", self.validation.as_ref()),
                ("test", self.test.as_ref()),
            ])
            .filter_map(|(name, part)| Some((name, part?)))
    }

    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = &mut Dataset> {
        std::iter::once(&mut self.train)
            .chain(&mut self.validation)
            .chain(&mut self.test)
    }
}

pub(crate) fn same_columns(part: &str, train: &Dataset, other: &Dataset) -> Result<(), DataError> {
    for (expected, found, role) in [
        (&train.inputs, &other.inputs, "inputs"),
        (&train.targets, &other.targets, "targets"),
    ] {
        if expected.len() != found.len() {
            let message = format!("the {part} part has {} {role}", found.len());
            let want = format!("{} as in the train part", expected.len());
            return Err(DataError::parts("(all)", message, want));
        }
        for (expected, found) in expected.iter().zip(found) {
            let describe = |column: &Column| {
                format!(
                    "`{}` {:?} of {}",
                    column.name,
                    column.shape,
                    column.data.type_name()
                )
            };
            if describe(expected) != describe(found) {
                let message = format!("the {part} part has {}", describe(found));
                let want = format!("{} as in the train part", describe(expected));
                return Err(DataError::parts(&found.name, message, want));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xy(x: Vec<f32>, y: Vec<i64>) -> Dataset {
        let inputs = vec![Column::new("x", [2], Array::F32(x))];
        Dataset::new(inputs, vec![Column::new("y", [], Array::I64(y))]).unwrap()
    }

    #[test]
    fn gathers_rows_in_the_order_asked_for() {
        let data = xy(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], vec![7, 8, 9]);
        let x = data.column("x").unwrap();
        let mut narrow = [0.0f32; 4];
        x.gather_f32(&[2, 0], &mut narrow).unwrap();
        assert_eq!(narrow, [4.0, 5.0, 0.0, 1.0]);
        let mut wide = [0.0f64; 2];
        x.gather_f64(&[1], &mut wide).unwrap();
        assert_eq!(wide, [2.0, 3.0]);
        let mut labels = [0i64; 3];
        data.targets()[0]
            .gather_i64(&[1, 1, 0], &mut labels)
            .unwrap();
        assert_eq!(labels, [8, 8, 7]);
    }

    #[test]
    fn bad_gathers_are_errors() {
        let data = xy(vec![0.0; 4], vec![0, 1]);
        let (x, y) = (&data.inputs()[0], &data.targets()[0]);
        let text = |result: Result<(), DataError>| result.unwrap_err().to_string();
        assert!(text(x.gather_f32(&[0], &mut [0.0; 3])).contains("3 values where 1 rows of 2"));
        assert!(text(x.gather_f32(&[2], &mut [0.0; 2])).contains("row 2 of 2 does not exist"));
        assert!(text(x.gather_f32(&[u32::MAX], &mut [0.0; 2])).contains("does not exist"));
        assert!(text(x.gather_i64(&[0], &mut [0; 2])).contains("f32, not i64"));
        assert!(text(y.gather_f64(&[0], &mut [0.0])).contains("i64, not f32"));
    }

    #[test]
    fn columns_must_fit_together() {
        let make = |inputs, targets| Dataset::new(inputs, targets).unwrap_err().to_string();
        let column =
            |name: &str, shape: &[usize], n| Column::new(name, shape, Array::F32(vec![0.0; n]));
        assert!(make(vec![], vec![]).contains("no input"));
        assert!(make(vec![column("x", &[3], 4)], vec![]).contains("do not make samples [3]"));
        assert!(make(vec![column("x", &[0], 0)], vec![]).contains("samples [0]"));
        assert!(make(vec![column("x", &[2], 0)], vec![]).contains("0 rows"));
        assert!(make(vec![column("x", &[2], 4)], vec![column("y", &[], 3)]).contains("3 rows"));
        assert!(make(vec![column("x", &[], 3)], vec![column("x", &[], 3)]).contains("this name"));
        assert!(make(vec![column("x", &[usize::MAX, 3], 4)], vec![]).contains("do not make"));
    }

    #[test]
    fn classes_are_counted_over_all_parts() {
        let parts = DataParts::new(
            xy(vec![0.0; 4], vec![0, 1]),
            Some(xy(vec![0.0; 2], vec![6])),
            None,
        );
        let parts = parts.unwrap();
        assert_eq!(parts.train().targets()[0].classes, Some(7));
        assert_eq!(parts.validation().unwrap().targets()[0].classes, Some(7));
        assert_eq!(parts.train().inputs()[0].classes, None);
    }

    #[test]
    fn parts_must_have_the_same_columns_and_valid_labels() {
        let good = xy(vec![0.0; 4], vec![0, 1]);
        let other =
            Dataset::new(vec![Column::new("x", [1], Array::F32(vec![0.0]))], vec![]).unwrap();
        let error = DataParts::new(good.clone(), None, Some(other))
            .unwrap_err()
            .to_string();
        assert!(error.contains("the test part has"), "{error}");
        let bad = xy(vec![0.0; 4], vec![3, -1]);
        let error = DataParts::new(good, Some(bad), None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("-1 in row 1 of the validation part"),
            "{error}"
        );
    }
}
