//! Small files for tests, and short ways to load them.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use npyz::npz::NpzWriter;
use npyz::{AutoSerialize, WriterBuilder};
use serde_json::Value;
use syncarp_data::{Array, Column, DataError, DataSpec, DataStream, Dataset};

/// Writes a file into a folder.
pub fn write(dir: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(dir.join(name), bytes).unwrap();
}

/// The gzipped form of bytes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An IDX file of bytes.
pub fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, shape.len() as u8];
    shape
        .iter()
        .for_each(|size| file.extend(size.to_be_bytes()));
    file.extend(data);
    file
}

/// Adds a row-major array to an archive, by another implementation of the format than the one
/// under test.
pub fn npz_array<T: AutoSerialize>(
    npz: &mut NpzWriter<File>,
    name: &str,
    shape: &[u64],
    values: Vec<T>,
) {
    let mut writer = npz
        .array(name, Default::default())
        .unwrap()
        .default_dtype()
        .shape(shape)
        .begin_nd()
        .unwrap();
    writer.extend(values).unwrap();
    writer.finish().unwrap();
}

/// A new archive in a folder.
pub fn npz(dir: &Path, name: &str) -> NpzWriter<File> {
    NpzWriter::new(File::create(dir.join(name)).unwrap())
}

/// Loads the stream that a `[data]` table describes.
pub fn load(dir: &Path, table: Value) -> Result<DataStream, DataError> {
    DataStream::load(&DataSpec::from_value(&table)?, dir)
}

/// The message of what must be an error.
pub fn error(dir: &Path, table: Value) -> String {
    load(dir, table)
        .expect_err("this must not load")
        .to_string()
}

/// The values of a floating-point column.
pub fn floats(column: &Column) -> &[f32] {
    match &column.data {
        Array::F32(values) => values,
        Array::I64(_) => panic!("`{}` holds integers", column.name),
    }
}

/// The labels of a data set's first target.
pub fn labels(data: &Dataset) -> &[i64] {
    match &data.targets()[0].data {
        Array::I64(values) => values,
        Array::F32(_) => panic!("the target holds floats"),
    }
}
