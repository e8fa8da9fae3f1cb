//! NumPy's format of one array: a header in Python's notation, then the elements.

use crate::dataset::Array;
use crate::elements::{BadElement, Element, decode};
use crate::error::Fault;

/// An array file's content, in row-major order.
#[derive(Debug, PartialEq)]
pub(crate) struct NpyArray {
    pub shape: Vec<usize>,
    pub data: Array,
}

/// NumPy allows no more axes than this.
const MAX_AXES: usize = 64;

/// Reads an array file. The header's shape must account for exactly the bytes that follow it.
pub(crate) fn read(bytes: &[u8]) -> Result<NpyArray, Fault> {
    let (header, data) = open(bytes)?;
    let data = decode(data, header.element, header.big).map_err(misfit)?;
    let data = match data {
        Array::F32(values) => Array::F32(header.row_major(values)),
        Array::I64(values) => Array::I64(header.row_major(values)),
    };
    Ok(NpyArray {
        shape: header.shape,
        data,
    })
}

/// The header of an array file and the bytes of its elements, as many as the shape takes.
pub(crate) fn open(bytes: &[u8]) -> Result<(Header, &[u8]), Fault> {
    let (text, start) = split_header(bytes)?;
    let header = Parser {
        text,
        at: 0,
        base: start - text.len(),
    }
    .header()?;
    let fail = |message: String, expected: String| Fault::new("the header", message, expected);

    let count = header
        .shape
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size));
    let needed = count.and_then(|count| count.checked_mul(header.element.size()));
    let data = &bytes[start..];
    let Some(needed) = needed else {
        return Err(fail(
            format!("the shape {:?} is too large", header.shape),
            "less".into(),
        ));
    };
    if needed != data.len() {
        return Err(fail(
            format!(
                "the shape {:?} takes {needed} bytes, {} follow",
                header.shape,
                data.len()
            ),
            "as many bytes as the shape takes".into(),
        ));
    }
    Ok((header, data))
}

/// An element that does not fit, as a mistake in the file.
pub(crate) fn misfit(error: BadElement) -> Fault {
    Fault::new(
        format!("element {}", error.index),
        error.message,
        error.expected,
    )
}

impl Header {
    /// Elements in the order in which they lie, in row-major order.
    pub fn row_major<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        // A dimension of zero leaves no elements to reorder, and no strides that mean anything.
        match self.fortran && self.shape.len() > 1 && !values.is_empty() {
            true => to_row_major(&values, &self.shape),
            false => values,
        }
    }
}

/// The header's text, and where the elements start.
fn split_header(bytes: &[u8]) -> Result<(&[u8], usize), Fault> {
    let cut = |at: usize| {
        Fault::new(
            format!("byte {at}"),
            "the array ends inside its header",
            "a whole array",
        )
    };
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(Fault::new(
            "byte 0",
            "it is no NumPy array",
            "the bytes 93 4E 55 4D 50 59",
        ));
    }
    let (lead, len) = match (bytes.get(6..8), bytes.get(8..12)) {
        (Some([1, 0]), Some(len)) => (10, usize::from(u16::from_le_bytes([len[0], len[1]]))),
        (Some([2 | 3, 0]), Some(len)) => (
            12,
            u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize,
        ),
        (Some([major, minor]), Some(_)) => {
            let message = format!("version {major}.{minor} of the array format");
            return Err(Fault::new("byte 6", message, "version 1.0, 2.0 or 3.0"));
        }
        _ => return Err(cut(bytes.len())),
    };
    let end = lead + len;
    bytes
        .get(lead..end)
        .map(|text| (text, end))
        .ok_or_else(|| cut(bytes.len()))
}

/// The elements of a column-major array in row-major order.
fn to_row_major<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, &size| {
            Some(std::mem::replace(stride, *stride * size))
        })
        .collect();
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    let mut out = Vec::with_capacity(values.len());
    loop {
        out.push(values[from]);
        // The last axis runs fastest; an axis that has run out starts over and moves the next.
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return out;
            }
            axis -= 1;
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}

/// What an array file says of its elements.
pub(crate) struct Header {
    pub element: Element,
    pub big: bool,
    fortran: bool,
    pub shape: Vec<usize>,
}

/// Reads the one kind of Python literal that NumPy writes for plain arrays: a dictionary of a
/// string, a boolean and a tuple of integers. There is nothing to recurse into.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the text starts in the file.
    base: usize,
}

impl Parser<'_> {
    fn header(mut self) -> Result<Header, Fault> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while self.peek() != Some(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            match key.as_str() {
                "descr" => descr = Some(self.descr()?),
                "fortran_order" => fortran = Some(self.boolean()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return Err(self.fault(format!("the key `{key}`"), KEYS)),
            }
            if self.peek() != Some(b'}') {
                self.expect(b',')?;
            }
        }
        self.expect(b'}')?;
        if self.peek().is_some() {
            return Err(self.fault("more after the dictionary", "blanks to the header's end"));
        }
        match (descr, fortran, shape) {
            (Some((element, big)), Some(fortran), Some(shape)) => Ok(Header {
                element,
                big,
                fortran,
                shape,
            }),
            _ => Err(self.fault("a key is missing", KEYS)),
        }
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        let found = match self.text.get(self.at) {
            Some(&found) => format!("`{}`", (found as char).escape_default()),
            None => "the header ends".to_string(),
        };
        Err(self.fault(found, format!("`{}`", byte as char)))
    }

    fn string(&mut self) -> Result<String, Fault> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.fault("there is no string", "a string in quotes")),
        };
        let rest = &self.text[self.at + 1..];
        match rest.iter().position(|&byte| byte == quote) {
            Some(len) if len <= 100 => {
                self.at += len + 2;
                Ok(String::from_utf8_lossy(&rest[..len]).into_owned())
            }
            _ => Err(self.fault("the string has no end", "a short string in quotes")),
        }
    }

    fn descr(&mut self) -> Result<(Element, bool), Fault> {
        const TYPES: &str = "one array of booleans, of integers of 1, 2, 4 or 8 bytes, or of \
                             floats of 4 or 8 bytes";
        if self.peek() == Some(b'[') {
            return Err(self.fault("a structured element type", TYPES));
        }
        let descr = self.string()?;
        let (order, name) = match descr.as_bytes().first() {
            Some(order @ (b'<' | b'>' | b'|' | b'=')) => (*order, &descr[1..]),
            _ => (b'=', descr.as_str()),
        };
        let element = match name {
            "b1" | "?" => Element::Bool,
            "i1" => Element::I8,
            "i2" => Element::I16,
            "i4" => Element::I32,
            "i8" => Element::I64,
            "u1" => Element::U8,
            "u2" => Element::U16,
            "u4" => Element::U32,
            "u8" => Element::U64,
            "f4" => Element::F32,
            "f8" => Element::F64,
            _ => return Err(self.fault(format!("the element type `{descr}`"), TYPES)),
        };
        Ok((element, order == b'>'))
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        self.peek();
        for (word, value) in [("True", true), ("False", false)] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault("there is no boolean", "`True` or `False`"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, Fault> {
        self.expect(b'(')?;
        let mut sizes = Vec::new();
        while self.peek() != Some(b')') {
            sizes.push(self.integer()?);
            if sizes.len() > MAX_AXES {
                return Err(self.fault("too many axes", format!("up to {MAX_AXES}")));
            }
            if self.peek() != Some(b')') {
                self.expect(b',')?;
            }
        }
        self.expect(b')')?;
        Ok(sizes)
    }

    fn integer(&mut self) -> Result<usize, Fault> {
        self.peek();
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = rest[..len].iter().try_fold(0usize, |value, &digit| {
            value
                .checked_mul(10)?
                .checked_add(usize::from(digit - b'0'))
        });
        match value.filter(|_| len > 0) {
            Some(value) => {
                self.at += len;
                // Python 2 wrote long integers with this suffix.
                if self.text.get(self.at) == Some(&b'L') {
                    self.at += 1;
                }
                Ok(value)
            }
            None => Err(self.fault("there is no size", "an integer that a size can be")),
        }
    }

    fn fault(&self, message: impl Into<String>, expected: impl Into<String>) -> Fault {
        Fault::new(format!("byte {}", self.base + self.at), message, expected)
    }
}

const KEYS: &str = "`descr`, `fortran_order` and `shape`";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    fn plain(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let fortran = if fortran { "True" } else { "False" };
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}  \n");
        file(&header, data)
    }

    #[test]
    fn both_orders_give_row_major_elements() {
        let data: Vec<u8> = (0..6).collect();
        let read = |fortran| read(&plain("|u1", fortran, "(2, 3)", &data)).unwrap();
        assert_eq!(
            read(false).data,
            Array::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        );
        assert_eq!(
            read(true).data,
            Array::F32(vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0])
        );
        assert_eq!(read(true).shape, [2, 3]);
    }

    #[test]
    fn column_major_order_is_undone_on_three_axes() {
        let shape = [2usize, 3, 4];
        let at = |i: usize, j: usize, k: usize| (i * 100 + j * 10 + k) as u8;
        let mut data = Vec::new();
        let mut expected = Vec::new();
        for k in 0..4 {
            for j in 0..3 {
                data.extend((0..2).map(|i| at(i, j, k)));
            }
        }
        for i in 0..2 {
            for j in 0..3 {
                expected.extend((0..4).map(|k| f32::from(at(i, j, k))));
            }
        }
        let array = read(&plain("|u1", true, "(2, 3, 4)", &data)).unwrap();
        assert_eq!(
            array,
            NpyArray {
                shape: shape.to_vec(),
                data: Array::F32(expected)
            }
        );
    }

    #[test]
    fn scalars_empty_arrays_and_later_versions_are_read() {
        assert_eq!(
            read(&plain("<i8", false, "()", &[1; 8])).unwrap().shape,
            [0usize; 0]
        );
        assert!(
            read(&plain("<i8", true, "(0, 3)", &[]))
                .unwrap()
                .data
                .is_empty()
        );
        let mut v2 = plain("|u1", false, "(2L,)", &[1, 2]);
        v2.splice(6..10, [2, 0, v2[8], v2[9], 0, 0]);
        assert_eq!(read(&v2).unwrap().data, Array::F32(vec![1.0, 2.0]));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let message = |bytes: &[u8]| {
            let Fault {
                place,
                message,
                expected,
            } = read(bytes).unwrap_err();
            format!("{place}: {message}; {expected}")
        };
        assert!(message(b"PK").contains("no NumPy array"));
        assert!(message(b"\x93NUMPY\x09\x00....").contains("version 9.0"));
        assert!(message(&plain("<f2", false, "(1,)", &[0; 2])).contains("element type `<f2`"));
        assert!(message(&plain("|O", false, "(1,)", &[0; 8])).contains("element type `|O`"));
        assert!(message(&plain("<f4", false, "(2,)", &[0; 7])).contains("takes 8 bytes, 7 follow"));
        assert!(message(&plain("<f4", false, "(1,)", &[0; 5])).contains("takes 4 bytes, 5 follow"));
        let huge = plain("<f4", false, "(9999999999, 9999999999)", &[]);
        assert!(message(&huge).contains("too large"));
        assert!(message(&plain("<f4", false, "(99999999999999999999,)", &[])).contains("no size"));
        assert!(message(&plain("<f4", false, "(-1,)", &[])).contains("no size"));
        assert!(message(&file("{'shape': (1,)}", &[])).contains("a key is missing"));
        assert!(message(&file("{'descr': [('a', '<f4')]}", &[])).contains("structured"));
        assert!(message(&file("{'x': 1}", &[])).contains("the key `x`"));
        assert!(message(&file("{'shape': (1 2)}", &[])).contains("byte 23"));
        assert!(message(&file("{'descr': 'é", &[])).contains("no end"));
        assert!(message(&plain("é1", false, "(1,)", &[0])).contains("element type `é1`"));
    }

    #[test]
    fn every_prefix_is_an_error() {
        let whole = plain("<i4", true, "(2, 2)", &[7; 16]);
        assert!(read(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "prefix of {end} bytes");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "[{}()\\[\\]'\":,0-9TrueFalsdcipothn_<>| ]{0,60}") {
            let _ = read(&file(&header, &[0; 8]));
        }

        #[test]
        fn no_change_makes_it_panic(at in 0usize..100, byte: u8, fortran: bool) {
            let mut bytes = plain("<i4", fortran, "(2, 2)", &[7; 16]);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(&bytes);
        }
    }
}
