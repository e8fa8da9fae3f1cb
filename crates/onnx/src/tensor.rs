//! Tensors of a file: their types, and where their elements are.

use bytes::Bytes;
use syncarp_ir::{Content, ContentError, ContentHash, DType, Stored, TensorData, TensorType};
use syncarp_weights::{FileBytes, StoredTensor, content_hash, decode, stored_hash};

use crate::file::Files;
use crate::proto::TensorProto;

/// The value of `data_location` for data in another file.
const EXTERNAL: i32 = 1;

/// The element types by their numbers in the format; what is missing has no equal here.
const ELEMENT_TYPES: &[(i32, DType)] = &[
    (1, DType::F32),
    (2, DType::U8),
    (3, DType::I8),
    (4, DType::U16),
    (5, DType::I16),
    (6, DType::I32),
    (7, DType::I64),
    (9, DType::Bool),
    (10, DType::F16),
    (11, DType::F64),
    (12, DType::U32),
    (13, DType::U64),
    (16, DType::BF16),
];

/// Names of the element types that there are none of here.
const OTHER_TYPES: &[(i32, &str)] = &[
    (8, "string"),
    (14, "complex64"),
    (15, "complex128"),
    (17, "float8e4m3fn"),
    (18, "float8e4m3fnuz"),
    (19, "float8e5m2"),
    (20, "float8e5m2fnuz"),
    (21, "uint4"),
    (22, "int4"),
    (23, "float4e2m1"),
    (24, "float8e8m0"),
    (25, "uint2"),
    (26, "int2"),
];

/// The element type of this number.
///
/// # Errors
/// There is none like it here.
pub(crate) fn element_type(code: i32) -> Result<DType, String> {
    if let Some((_, dtype)) = ELEMENT_TYPES.iter().find(|(number, _)| *number == code) {
        return Ok(*dtype);
    }
    match OTHER_TYPES.iter().find(|(number, _)| *number == code) {
        Some((_, name)) => Err(format!(
            "elements of type {name} are not supported; export with floats or integers of 8 bits \
             or more"
        )),
        None => Err(format!("there is no element type {code}")),
    }
}

/// The elements of a tensor, wherever they are.
#[derive(Clone)]
enum Place {
    File(StoredTensor),
    Memory(Bytes),
    Here(TensorData),
}

/// A tensor of a file.
#[derive(Clone)]
pub(crate) struct FileTensor {
    pub dtype: DType,
    pub dims: Vec<u64>,
    place: Place,
}

impl FileTensor {
    /// Looks where a tensor's elements are, without reading them.
    ///
    /// # Errors
    /// It contradicts itself, or is of a type that there is none of here.
    pub fn new(proto: &TensorProto, files: &Files) -> Result<FileTensor, String> {
        let dtype = element_type(proto.data_type)?;
        let dims = proto.dims.iter().map(|dim| u64::try_from(*dim).ok());
        let dims: Option<Vec<u64>> = dims.collect();
        let dims = dims.ok_or_else(|| format!("has dims {:?}", proto.dims))?;
        let count = dims.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim));
        let size = count.and_then(|n| n.checked_mul(dtype.size() as u64));
        let (Some(count), Some(size)) = (count, size) else {
            return Err(format!("has dims {dims:?}, which are too many elements"));
        };
        let place = place(proto, dtype, &dims, files)?;
        let found = match &place {
            // Checked already.
            Place::File(_) => size,
            Place::Memory(bytes) => bytes.len() as u64,
            Place::Here(TensorData::Float(items)) => (items.len() * dtype.size()) as u64,
            Place::Here(TensorData::Int(items)) => (items.len() * dtype.size()) as u64,
        };
        if found != size {
            let per = dtype.size() as u64;
            let has = found / per;
            return Err(format!(
                "{dtype}{dims:?} has {count} elements, the file {has}"
            ));
        }
        Ok(FileTensor { dtype, dims, place })
    }

    pub fn ty(&self) -> TensorType {
        TensorType::fixed(self.dtype, &self.dims)
    }

    pub fn count(&self) -> u64 {
        self.dims.iter().product()
    }

    /// The elements.
    pub fn load(&self) -> Result<TensorData, String> {
        match &self.place {
            Place::File(tensor) => tensor.load().map_err(|error| error.to_string()),
            Place::Memory(bytes) => read(self.dtype, bytes),
            Place::Here(data) => Ok(data.clone()),
        }
    }

    /// What it is recognised by.
    pub fn hash(&self) -> Result<ContentHash, String> {
        if let Place::File(tensor) = &self.place {
            return stored_hash(tensor).map_err(|cause| cause.to_string());
        }
        let hash = content_hash(&self.ty(), &self.load()?);
        hash.ok_or_else(|| format!("has an element that is none of {}", self.dtype))
    }

    /// The elements as a plan holds them: those in a file stay there.
    pub fn content(&self) -> Content {
        match &self.place {
            Place::File(tensor) => Content::stored(tensor.clone()),
            Place::Memory(bytes) => Content::stored(InMemory(self.dtype, bytes.clone())),
            Place::Here(data) => Content::new(data.clone()),
        }
    }

    /// How many bytes hashing it reads.
    pub fn size(&self) -> u64 {
        self.count() * self.dtype.size() as u64
    }
}

struct InMemory(DType, Bytes);

impl Stored for InMemory {
    fn load(&self) -> Result<TensorData, ContentError> {
        read(self.0, &self.1).map_err(ContentError::new)
    }
}

fn read(dtype: DType, bytes: &[u8]) -> Result<TensorData, String> {
    if dtype == DType::Bool && bytes.iter().any(|b| *b > 1) {
        return Err("holds a truth value that is neither 0 nor 1".to_owned());
    }
    decode(dtype, bytes).ok_or_else(|| "ends within an element".to_owned())
}

fn place(proto: &TensorProto, dtype: DType, dims: &[u64], files: &Files) -> Result<Place, String> {
    if proto.data_location == EXTERNAL {
        let count: u64 = dims.iter().product();
        let bytes = external(proto, count * dtype.size() as u64, files)?;
        return StoredTensor::new(bytes, dtype, dims.to_vec()).map(Place::File);
    }
    let of_bytes = |bytes: &Bytes| match files.range_of(bytes) {
        Some(range) => StoredTensor::new(range, dtype, dims.to_vec()).map(Place::File),
        None => Ok(Place::Memory(bytes.clone())),
    };
    if !proto.raw_data.is_empty() {
        return of_bytes(&proto.raw_data);
    }
    let packed = |chunks: &[Bytes]| match chunks {
        [one] => of_bytes(one),
        several => Ok(Place::Memory(several.concat().into())),
    };
    let ints = |items: Vec<i64>| Ok(Place::Here(TensorData::Int(items)));
    let narrow = || proto.int32_data.iter();
    match dtype {
        DType::F32 => packed(&proto.float_data),
        DType::F64 => packed(&proto.double_data),
        DType::I64 => ints(proto.int64_data.clone()),
        DType::U32 | DType::U64 => {
            let items = proto.uint64_data.iter();
            ints(items.map(|item| dtype.wrap(*item as i64)).collect())
        }
        // Their bits, one a number.
        DType::F16 | DType::BF16 => {
            let bits = narrow().flat_map(|item| (*item as u16).to_le_bytes());
            Ok(Place::Memory(bits.collect::<Vec<u8>>().into()))
        }
        DType::Bool => ints(narrow().map(|item| i64::from(*item != 0)).collect()),
        _ => ints(narrow().map(|item| dtype.wrap(i64::from(*item))).collect()),
    }
}

/// The bytes that `external_data` speaks of.
fn external(proto: &TensorProto, size: u64, files: &Files) -> Result<FileBytes, String> {
    let entry = |key: &str| {
        let mut entries = proto.external_data.iter();
        entries.find(|e| e.key == key).map(|e| e.value.as_str())
    };
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => {
            let number = text.trim().parse::<u64>();
            number
                .map(Some)
                .map_err(|_| format!("`{key}` of its data is `{}`", crate::error::shown(text)))
        }
    };
    let length = number("length")?.unwrap_or(size);
    let location = entry("location").ok_or("its data lies in another file, but not said which")?;
    files.external(location, number("offset")?.unwrap_or(0), length)
}
