//! Delimited text: one row a line, inputs and targets in columns.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use ::csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};

use crate::dataset::{Array, Column};
use crate::elements::MAX_LABEL;
use crate::error::{DataError, Fault, ReadError};
use crate::files::Content;
use crate::spec::{ColumnRef, CsvOptions, TargetKind};

/// The longest record that is read. A gzipped file of a few kilobytes can hold a single field of
/// megabytes, so memory is bounded by this and not by the file's length.
const MAX_RECORD: u64 = 16 << 20;

/// What a CSV file holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Table {
    /// The names in the header, where there is one.
    pub header: Option<Vec<String>>,
    pub input: Column,
    pub target: Column,
}

/// Reads a CSV file, gzipped or not, into one input column `x` and one target column `y`.
///
/// Every field must be a finite number: a missing or unreadable one is an error with its line and
/// column, never a silent zero.
pub(crate) fn read(
    bytes: &[u8],
    path: &Path,
    options: &CsvOptions,
    kind: TargetKind,
) -> Result<Table, ReadError> {
    let limit = Rc::new(Cell::new(MAX_RECORD));
    let content = Limited {
        inner: Content::open(bytes, path)?,
        read: 0,
        limit: limit.clone(),
    };
    let mut reader = ReaderBuilder::new()
        .has_headers(options.has_header)
        .delimiter(options.delimiter as u8)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(content);

    let header = match options.has_header {
        true => Some(names(reader.headers().map_err(fault)?)),
        false => None,
    };
    let mut layout = match &header {
        Some(names) => Some(Layout::new(names.len(), Some(names), options)?),
        None => None,
    };
    let (mut inputs, mut labels, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows: u64 = 0;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(fault)? {
        limit.set(reader.position().byte().saturating_add(MAX_RECORD));
        let line = record.position().map_or(0, |position| position.line());
        let layout = match &mut layout {
            Some(layout) => layout,
            none => none.insert(Layout::new(record.len(), None, options)?),
        };
        if record.len() != layout.is_target.len() {
            return Err(Fault::new(
                format!("line {line}"),
                format!("{} columns", record.len()),
                format!("{} as in the lines before", layout.is_target.len()),
            )
            .into());
        }
        rows += 1;
        if rows > u64::from(u32::MAX) {
            return Err(
                Fault::new(format!("line {line}"), "too many rows", "up to 2^32 - 1").into(),
            );
        }
        let place = |index: usize| match header.as_ref().and_then(|names| names.get(index)) {
            Some(name) => format!("line {line}, column {} (`{name}`)", index + 1),
            None => format!("line {line}, column {}", index + 1),
        };
        for (index, field) in record.iter().enumerate() {
            if !layout.is_target[index] {
                inputs.push(number(field, || place(index), rows, options)?);
            }
        }
        for &index in &layout.targets {
            let field = &record[index];
            match kind {
                TargetKind::Class => labels.push(label(field, || place(index), rows, options)?),
                TargetKind::Value => values.push(number(field, || place(index), rows, options)?),
            }
        }
    }
    let Some(layout) = layout.filter(|_| rows > 0) else {
        return Err(Fault::new("the end", "the file has no rows", "at least one row").into());
    };
    let features = layout.is_target.len() - layout.targets.len();
    let target = match kind {
        TargetKind::Class => Column::new("y", [], Array::I64(labels)),
        TargetKind::Value if layout.targets.len() == 1 => Column::new("y", [], Array::F32(values)),
        TargetKind::Value => Column::new("y", [layout.targets.len()], Array::F32(values)),
    };
    Ok(Table {
        header,
        input: Column::new("x", [features], Array::F32(inputs)),
        target,
    })
}

/// Which columns are targets.
struct Layout {
    is_target: Vec<bool>,
    /// The targets in the order in which the spec names them.
    targets: Vec<usize>,
}

impl Layout {
    fn new(
        columns: usize,
        header: Option<&Vec<String>>,
        options: &CsvOptions,
    ) -> Result<Self, ReadError> {
        let bad = |message: String, expected: String| {
            ReadError::Spec(DataError::spec("csv.target", message, expected))
        };
        let mut is_target = vec![false; columns];
        let mut targets = Vec::new();
        for target in &options.target {
            let index = match target {
                ColumnRef::Index(index) => {
                    let from_front = match index {
                        0.. => usize::try_from(*index).ok(),
                        _ => usize::try_from(index.unsigned_abs())
                            .ok()
                            .and_then(|back| columns.checked_sub(back)),
                    };
                    from_front.filter(|&index| index < columns).ok_or_else(|| {
                        bad(
                            format!("there is no column {index}, the file has {columns}"),
                            format!(
                                "an index from {} to {}",
                                -(columns as i128),
                                columns as i128 - 1
                            ),
                        )
                    })?
                }
                ColumnRef::Name(name) => {
                    let names = header.map_or(&[][..], |names| names);
                    let mut found = (0..names.len()).filter(|&index| names[index] == *name);
                    match (found.next(), found.next()) {
                        (Some(index), None) => index,
                        (Some(_), Some(_)) => {
                            let message = format!("several columns are named `{name}`");
                            return Err(bad(message, "a column's index".to_string()));
                        }
                        (None, _) => {
                            let message = format!("no column is named `{name}`");
                            return Err(bad(message, format!("one of {}", list(names))));
                        }
                    }
                }
            };
            if std::mem::replace(&mut is_target[index], true) {
                let message = format!("column {} is named twice", index + 1);
                return Err(bad(message, "each column once".to_string()));
            }
            targets.push(index);
        }
        if targets.len() == columns {
            let message = format!("all {columns} columns are targets, which leaves no input");
            return Err(bad(
                message,
                "at least one other column in the file".to_string(),
            ));
        }
        Ok(Layout { is_target, targets })
    }
}

/// The names for a message, cut where there are many.
fn list(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(20)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > 20 {
        text.push_str(", ...");
    }
    text
}

fn names(header: &StringRecord) -> Vec<String> {
    header.iter().map(str::to_string).collect()
}

fn number(
    field: &[u8],
    place: impl Fn() -> String,
    row: u64,
    options: &CsvOptions,
) -> Result<f32, Fault> {
    std::str::from_utf8(field)
        .ok()
        .and_then(|text| text.parse::<f32>().ok())
        .filter(|value| value.is_finite())
        .ok_or_else(|| unreadable(field, place(), "a finite number", row, options))
}

fn label(
    field: &[u8],
    place: impl Fn() -> String,
    row: u64,
    options: &CsvOptions,
) -> Result<i64, Fault> {
    let whole = |text: &str| {
        text.parse::<i64>().ok().or_else(|| {
            // Labels that went through floating point on their way (`3.0`) are still labels.
            text.parse::<f64>()
                .ok()
                .filter(|value| value.fract() == 0.0)
                .map(|value| value as i64)
        })
    };
    std::str::from_utf8(field)
        .ok()
        .and_then(whole)
        .filter(|label| (0..=MAX_LABEL).contains(label))
        .ok_or_else(|| {
            let expected = "a class label, an integer from 0 to 2147483647";
            unreadable(field, place(), expected, row, options)
        })
}

fn unreadable(
    field: &[u8],
    place: String,
    expected: &str,
    row: u64,
    options: &CsvOptions,
) -> Fault {
    let shown = String::from_utf8_lossy(&field[..field.len().min(40)]).into_owned();
    let message = if field.is_empty() {
        "the field is empty".into()
    } else {
        format!("{shown:?}")
    };
    let hint = match row == 1 && !options.has_header {
        true => " (set `csv.has-header = true` if this line names the columns)",
        false => "",
    };
    Fault::new(place, message, format!("{expected}{hint}"))
}

fn fault(error: ::csv::Error) -> Fault {
    let place = match error.position() {
        Some(position) => format!("line {}", position.line()),
        None => "its content".to_string(),
    };
    Fault::new(place, error.to_string(), "whole, well-formed CSV text")
}

/// A stream that stops with an error at a limit, which moves along with the records read.
struct Limited<R> {
    inner: R,
    read: u64,
    limit: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read >= self.limit.get() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a record is longer than {} MiB", MAX_RECORD >> 20),
            ));
        }
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn text(text: &str, options: &CsvOptions, kind: TargetKind) -> Result<Table, String> {
        read(text.as_bytes(), Path::new("t.csv"), options, kind)
            .map_err(|error| error.at(Path::new("t.csv")).to_string())
    }

    fn header(target: &[ColumnRef]) -> CsvOptions {
        CsvOptions {
            has_header: true,
            target: target.to_vec(),
            ..CsvOptions::default()
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_last_column_is_the_class_by_default() {
        let table = text(
            "1,2.5,0\n-3,4e1,2\n",
            &CsvOptions::default(),
            TargetKind::Class,
        )
        .unwrap();
        assert_eq!(
            table.input,
            Column::new("x", [2], Array::F32(vec![1.0, 2.5, -3.0, 40.0]))
        );
        assert_eq!(table.target, Column::new("y", [], Array::I64(vec![0, 2])));
        assert_eq!(table.header, None);
    }

    #[test]
    fn targets_by_name_or_index_keep_their_order() {
        let file = "\u{feff}a, b ,c,d\n1,2,3,4\n5,6,7,8\n";
        let options = header(&[ColumnRef::Name("d".into()), ColumnRef::Name("a".into())]);
        let table = text(file, &options, TargetKind::Value).unwrap();
        assert_eq!(table.input.data, Array::F32(vec![2.0, 3.0, 6.0, 7.0]));
        assert_eq!(
            table.target,
            Column::new("y", [2], Array::F32(vec![4.0, 1.0, 8.0, 5.0]))
        );
        assert_eq!(table.header.unwrap(), ["a", "b", "c", "d"]);
        let options = header(&[ColumnRef::Index(-4)]);
        let table = text(file, &options, TargetKind::Value).unwrap();
        assert_eq!(
            table.target,
            Column::new("y", [], Array::F32(vec![1.0, 5.0]))
        );
    }

    #[test]
    fn other_delimiters_quotes_and_line_ends_are_read() {
        let options = CsvOptions {
            delimiter: ';',
            ..CsvOptions::default()
        };
        let table = text("\"1\"; 2 ;3.0\r\n4;5;6", &options, TargetKind::Class).unwrap();
        assert_eq!(table.input.data, Array::F32(vec![1.0, 2.0, 4.0, 5.0]));
        assert_eq!(table.target.data, Array::I64(vec![3, 6]));
    }

    #[test]
    fn mistakes_name_line_and_column() {
        let error = |file: &str| text(file, &CsvOptions::default(), TargetKind::Class).unwrap_err();
        let first = error("a,b\n1,0\n");
        assert!(
            first.contains("`t.csv` is malformed at line 1, column 1: \"a\""),
            "{first}"
        );
        assert!(first.contains("csv.has-header"), "{first}");
        let later = error("1,0\n2,\n");
        assert!(
            later.contains("line 2, column 2: the field is empty"),
            "{later}"
        );
        assert!(!later.contains("has-header"), "{later}");
        assert!(error("1,0\n2,3,4\n").contains("line 2: 3 columns; expected 2"));
        assert!(error("1,-1\n").contains("class label"));
        assert!(error("1,0.5\n").contains("class label"));
        assert!(error("1,99999999999\n").contains("class label"));
        assert!(error("nan,0\n").contains("finite"));
        assert!(error("1e99,0\n").contains("finite"));
        assert!(error("").contains("no rows"));
        assert!(error("1\n").contains("leaves no input"));
        let named = text(
            "age,c\nx,0\n",
            &header(&[ColumnRef::Index(-1)]),
            TargetKind::Class,
        );
        let named = named.unwrap_err();
        assert!(named.contains("line 2, column 1 (`age`)"), "{named}");
    }

    #[test]
    fn wrong_targets_are_the_spec_s_fault() {
        let error = |target: &[ColumnRef]| {
            text("a,b,b\n1,2,3\n", &header(target), TargetKind::Value).unwrap_err()
        };
        let missing = error(&[ColumnRef::Name("z".into())]);
        assert!(
            missing.contains("`csv.target` is wrong: no column is named `z`"),
            "{missing}"
        );
        assert!(missing.contains("one of `a`, `b`, `b`"), "{missing}");
        assert!(error(&[ColumnRef::Name("b".into())]).contains("several columns"));
        assert!(error(&[ColumnRef::Index(3)]).contains("from -3 to 2"));
        assert!(error(&[ColumnRef::Index(i64::MIN)]).contains("no column"));
        assert!(error(&[ColumnRef::Index(-1), ColumnRef::Index(2)]).contains("named twice"));
    }

    #[test]
    fn gzip_is_read_and_truncated_gzip_is_an_error() {
        let plain = b"1,2,0\n3,4,1\n".repeat(50);
        let packed = gzip(&plain);
        let read = |bytes: &[u8], name: &str| {
            read(
                bytes,
                Path::new(name),
                &CsvOptions::default(),
                TargetKind::Class,
            )
        };
        let expected = read(&plain, "a.csv").unwrap();
        assert_eq!(read(&packed, "a.csv.gz").unwrap(), expected);
        assert_eq!(read(&packed, "a.csv").unwrap(), expected);
        assert!(read(&plain, "a.csv.gz").is_err());
        for end in 0..packed.len() {
            assert!(
                read(&packed[..end], "a.csv.gz").is_err(),
                "prefix of {end} bytes"
            );
        }
    }

    #[test]
    fn one_endless_field_stops_at_the_limit() {
        // 24 MiB of one digit shrink to some tens of kilobytes.
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..24 {
            encoder.write_all(&vec![b'1'; 1 << 20]).unwrap();
        }
        let packed = encoder.finish().unwrap();
        let error = read(
            &packed,
            Path::new("b.gz"),
            &CsvOptions::default(),
            TargetKind::Class,
        );
        let error = error.unwrap_err().at(Path::new("b.gz")).to_string();
        assert!(error.contains("longer than 16 MiB"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            has_header: bool,
            class: bool,
        ) {
            let kind = if class { TargetKind::Class } else { TargetKind::Value };
            let options = CsvOptions { has_header, ..CsvOptions::default() };
            let _ = read(&bytes, Path::new("f.csv"), &options, kind);
        }

        #[test]
        fn no_change_of_a_good_file_makes_it_panic(
            at in 0usize..24,
            byte: u8,
            zipped: bool,
        ) {
            let plain = b"1.5,2,0\n-3,4e0,1\n0,0,2\n";
            let mut bytes = if zipped { gzip(plain) } else { plain.to_vec() };
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(&bytes, Path::new("f"), &CsvOptions::default(), TargetKind::Class);
        }
    }
}
