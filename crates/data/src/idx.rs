//! The format of the MNIST files: a type byte, big-endian sizes, then the elements.

use std::io::Read;
use std::path::Path;

use crate::dataset::{Array, Column};
use crate::elements::{BadElement, Element, decode, to_labels, to_values};
use crate::error::Fault;
use crate::files::Content;
use crate::spec::TargetKind;

/// Reads an inputs file, gzipped or not, as the column `x`: one sample for each index of the
/// first axis. Bytes become `f32`.
pub(crate) fn read_inputs(bytes: &[u8], path: &Path) -> Result<Column, Fault> {
    let (shape, element, data) = read_raw(bytes, path)?;
    let data = decode(&data, element, true).map_err(|error| at(error, &shape))?;
    Ok(Column::new("x", &shape[1..], data))
}

/// Reads a targets file, gzipped or not, as the column `y`.
pub(crate) fn read_targets(bytes: &[u8], path: &Path, kind: TargetKind) -> Result<Column, Fault> {
    let (shape, element, data) = read_raw(bytes, path)?;
    let data = decode(&data, element, true).map_err(|error| at(error, &shape))?;
    let data = match kind {
        TargetKind::Class => Array::I64(to_labels(data).map_err(|error| at(error, &shape))?),
        TargetKind::Value => Array::F32(to_values(data)),
    };
    Ok(Column::new("y", &shape[1..], data))
}

fn at(error: BadElement, shape: &[usize]) -> Fault {
    let size: usize = shape[1..].iter().product();
    let place = format!("row {}", error.index / size.max(1));
    Fault::new(place, error.message, error.expected)
}

/// The shape, the element type and the elements' bytes, of which there are exactly as many as
/// the shape takes, and at least one.
fn read_raw(bytes: &[u8], path: &Path) -> Result<(Vec<usize>, Element, Vec<u8>), Fault> {
    let mut content = Content::open(bytes, path)?;
    let at_most = content.at_most(bytes.len());

    let mut magic = [0; 4];
    read_exact(&mut content, &mut magic, 0)?;
    let [0, 0, code, axes] = magic else {
        let message = format!("it starts with {:02x} {:02x}", magic[0], magic[1]);
        return Err(Fault::new(
            "byte 0",
            message,
            "the bytes 00 00 of an IDX file",
        ));
    };
    let element = match code {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => {
            let expected = "08, 09, 0b, 0c, 0d or 0e";
            return Err(Fault::new(
                "byte 2",
                format!("the element type {code:02x}"),
                expected,
            ));
        }
    };
    if axes == 0 {
        return Err(Fault::new(
            "byte 3",
            "there are no axes",
            "a first axis of rows",
        ));
    }
    let mut shape = Vec::with_capacity(usize::from(axes));
    for axis in 0..usize::from(axes) {
        let mut size = [0; 4];
        read_exact(&mut content, &mut size, 4 + 4 * axis)?;
        shape.push(u32::from_be_bytes(size) as usize);
    }
    let start = 4 + 4 * shape.len();
    let needed = shape
        .iter()
        .try_fold(element.size(), |product, &size| product.checked_mul(size));
    let Some(needed) = needed.filter(|&needed| needed as u64 <= at_most) else {
        return Err(Fault::new(
            "byte 4",
            format!(
                "the shape {shape:?} takes more than the file of {} bytes holds",
                bytes.len()
            ),
            "as many elements as the shape takes",
        ));
    };
    if needed == 0 {
        return Err(Fault::new(
            "byte 4",
            format!("the shape {shape:?}"),
            "at least one element",
        ));
    }
    let mut data = Vec::with_capacity(needed.min(1 << 20));
    let read = content.take(needed as u64 + 1).read_to_end(&mut data);
    let message = match read {
        Ok(count) if count == needed => return Ok((shape, element, data)),
        Ok(count) if count > needed => format!("more follow the {needed} of shape {shape:?}"),
        Ok(count) => format!("the file ends after {count} of {needed} bytes of elements"),
        Err(error) => error.to_string(),
    };
    let place = format!("byte {}", start + data.len().min(needed));
    Err(Fault::new(
        place,
        message,
        "as many bytes as the shape takes",
    ))
}

fn read_exact(content: &mut Content, buffer: &mut [u8], at: usize) -> Result<(), Fault> {
    content.read_exact(buffer).map_err(|error| {
        Fault::new(
            format!("byte {at}"),
            format!("the header is cut: {error}"),
            "a whole header",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn file(code: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut file = vec![0, 0, code, shape.len() as u8];
        shape
            .iter()
            .for_each(|size| file.extend(size.to_be_bytes()));
        file.extend(data);
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inputs(bytes: &[u8]) -> Result<Column, String> {
        read_inputs(bytes, Path::new("f")).map_err(|f| format!("{}: {}", f.place, f.message))
    }

    #[test]
    fn every_element_type_is_read() {
        let one = |code, data: &[u8]| inputs(&file(code, &[1], data)).unwrap().data;
        assert_eq!(one(0x08, &[200]), Array::F32(vec![200.0]));
        assert_eq!(one(0x09, &[0xff]), Array::F32(vec![-1.0]));
        assert_eq!(one(0x0b, &[1, 2]), Array::F32(vec![258.0]));
        assert_eq!(one(0x0c, &[0, 0, 1, 0]), Array::I64(vec![256]));
        assert_eq!(one(0x0d, &2.5f32.to_be_bytes()), Array::F32(vec![2.5]));
        assert_eq!(one(0x0e, &2.5f64.to_be_bytes()), Array::F32(vec![2.5]));
    }

    #[test]
    fn images_and_labels_are_read_plain_and_gzipped() {
        let images = file(8, &[2, 1, 3], &[0, 1, 2, 3, 4, 5]);
        let expected = Column::new("x", [1, 3], Array::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        assert_eq!(inputs(&images).unwrap(), expected);
        assert_eq!(inputs(&gzip(&images)).unwrap(), expected);
        let labels = file(8, &[3], &[7, 0, 9]);
        let read = |kind| read_targets(&labels, Path::new("l"), kind).unwrap();
        assert_eq!(
            read(TargetKind::Class),
            Column::new("y", [], Array::I64(vec![7, 0, 9]))
        );
        assert_eq!(
            read(TargetKind::Value).data,
            Array::F32(vec![7.0, 0.0, 9.0])
        );
        let half = file(
            0x0d,
            &[2],
            &[1f32.to_be_bytes(), 0.5f32.to_be_bytes()].concat(),
        );
        let fault = read_targets(&half, Path::new("l"), TargetKind::Class).unwrap_err();
        assert_eq!(
            (fault.place.as_str(), fault.message.as_str()),
            ("row 1", "0.5 is no class label")
        );
    }

    #[test]
    fn every_prefix_is_an_error_plain_and_gzipped() {
        let plain = file(8, &[2, 3], &[1; 6]);
        for whole in [gzip(&plain), plain] {
            assert!(inputs(&whole).is_ok());
            for end in 0..whole.len() {
                assert!(inputs(&whole[..end]).is_err(), "prefix of {end} bytes");
            }
        }
    }

    #[test]
    fn lying_headers_are_refused() {
        let error = |bytes: &[u8]| inputs(bytes).unwrap_err();
        assert!(error(&file(8, &[u32::MAX; 4], &[])).contains("takes more than the file"));
        assert!(error(&file(8, &[u32::MAX], &[1])).contains("takes more than the file"));
        assert!(error(&gzip(&file(8, &[u32::MAX], &[1]))).contains("takes more than the file"));
        assert!(error(&file(8, &[3], &[1; 4])).contains("more follow"));
        assert!(error(&file(8, &[0], &[])).contains("the shape [0]"));
        assert!(error(&file(8, &[], &[1])).contains("no axes"));
        assert!(error(&file(7, &[1], &[1])).contains("element type 07"));
        assert!(error(b"PNG!").contains("starts with 50 4e"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            head in prop::option::of(Just([0u8, 0, 8, 2])),
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let bytes: Vec<u8> = head.into_iter().flatten().chain(bytes).collect();
            let _ = read_inputs(&bytes, Path::new("f"));
            let _ = read_targets(&bytes, Path::new("f"), TargetKind::Class);
        }

        #[test]
        fn no_change_makes_it_panic(at in 0usize..200, byte: u8, zipped: bool) {
            let plain = file(8, &[2, 3], &[1; 6]);
            let mut bytes = if zipped { gzip(&plain) } else { plain };
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read_inputs(&bytes, Path::new("f"));
        }
    }
}
