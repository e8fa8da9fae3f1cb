//! Writing NumPy's archive of arrays: a ZIP file of array files, stored as they are.

use flate2::Crc;

/// The elements of an array to be written, row-major.
pub(crate) enum Elements<'a> {
    F32(&'a [f64]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    Bool(&'a [i64]),
}

/// A ZIP file of these arrays, by name. Times are left out, so that equal arrays are equal files.
///
/// # Errors
/// Where it would pass what the format without 64-bit fields can hold, 4 GiB.
pub(crate) fn encode(arrays: &[(String, &[usize], Elements<'_>)]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, dims, elements) in arrays {
        let content = array(dims, elements);
        let name = format!("{name}.npy");
        let mut crc = Crc::new();
        crc.update(&content);
        let size = short(content.len())?;
        let offset = short(bytes.len())?;
        // Version needed, flags, method (stored), time and date (1 January 1980), then sizes.
        let mut shared = Vec::new();
        for field in [20u16, 0, 0, 0, 0x21] {
            shared.extend(field.to_le_bytes());
        }
        for field in [crc.sum(), size, size] {
            shared.extend(field.to_le_bytes());
        }
        let len = u16::try_from(name.len()).map_err(|_| format!("`{name}` is too long"))?;
        shared.extend(len.to_le_bytes());
        shared.extend(0u16.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&shared);
        bytes.extend(name.as_bytes());
        bytes.extend(&content);
        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&shared);
        // No comment, first disk, no attributes.
        directory.extend([0u8; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(arrays.len()).map_err(|_| "too many arrays".to_owned())?;
    let (at, len) = (short(bytes.len())?, short(directory.len())?);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend(0u16.to_le_bytes());
    Ok(bytes)
}

fn short(size: usize) -> Result<u32, String> {
    // The last value means that a 64-bit field follows, which is not written here.
    let fits = u32::try_from(size).ok().filter(|size| *size != u32::MAX);
    fits.ok_or_else(|| "the results take more than 4 GiB".to_owned())
}

/// One array file: magic, version, header, elements.
fn array(dims: &[usize], elements: &Elements<'_>) -> Vec<u8> {
    let descr = match elements {
        Elements::F32(_) => "<f4",
        Elements::F64(_) => "<f8",
        Elements::I64(_) => "<i8",
        Elements::Bool(_) => "|b1",
    };
    let sizes: String = dims.iter().map(|dim| format!("{dim}, ")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // NumPy aligns the elements to 64 bytes and ends the header with a line feed.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    header = format!("{header:padded$}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    match elements {
        Elements::F32(values) => values
            .iter()
            .for_each(|v| bytes.extend((*v as f32).to_le_bytes())),
        Elements::F64(values) => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Elements::I64(values) => values.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Elements::Bool(values) => bytes.extend(values.iter().map(|v| u8::from(*v != 0))),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncarp_data::{Numbers, read_arrays};

    #[test]
    fn what_is_written_can_be_read() {
        let arrays = [
            (
                "a".to_owned(),
                &[2usize, 1][..],
                Elements::F64(&[0.1, -2.5]),
            ),
            ("b".to_owned(), &[][..], Elements::I64(&[i64::MIN])),
            ("c".to_owned(), &[3][..], Elements::Bool(&[1, 0, 1])),
            ("d".to_owned(), &[0, 4][..], Elements::F32(&[])),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        std::fs::write(&path, encode(&arrays).unwrap()).unwrap();
        let read = read_arrays(&path).unwrap();
        assert_eq!(
            read[0],
            ("a".to_owned(), vec![2, 1], Numbers::Float(vec![0.1, -2.5]))
        );
        assert_eq!(
            read[1],
            ("b".to_owned(), vec![], Numbers::Int(vec![i64::MIN]))
        );
        assert_eq!(
            read[2],
            ("c".to_owned(), vec![3], Numbers::Int(vec![1, 0, 1]))
        );
        assert_eq!(
            read[3],
            ("d".to_owned(), vec![0, 4], Numbers::Float(vec![]))
        );
    }
}
