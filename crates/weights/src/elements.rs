//! Elements as bytes, little-endian, and back. Floats of every width pass through f64, which holds
//! each of them exactly.

use syncarp_ir::{DType, TensorData};

/// Reads elements; none where the bytes are no whole number of them.
pub fn decode(dtype: DType, bytes: &[u8]) -> Option<TensorData> {
    fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (chunks, rest) = bytes.as_chunks::<N>();
        rest.is_empty()
            .then(|| chunks.iter().map(|raw| read(*raw)).collect())
    }
    Some(match dtype {
        DType::F16 => TensorData::Float(each(bytes, |b| f16_to_f64(u16::from_le_bytes(b)))?),
        DType::BF16 => TensorData::Float(each(bytes, |b| bf16_to_f64(u16::from_le_bytes(b)))?),
        DType::F32 => TensorData::Float(each(bytes, |b| f64::from(f32::from_le_bytes(b)))?),
        DType::F64 => TensorData::Float(each(bytes, f64::from_le_bytes)?),
        DType::U8 | DType::Bool => TensorData::Int(each(bytes, |[b]| i64::from(b))?),
        DType::I8 => TensorData::Int(each(bytes, |[b]| i64::from(b as i8))?),
        DType::U16 => TensorData::Int(each(bytes, |b| i64::from(u16::from_le_bytes(b)))?),
        DType::I16 => TensorData::Int(each(bytes, |b| i64::from(i16::from_le_bytes(b)))?),
        DType::U32 => TensorData::Int(each(bytes, |b| i64::from(u32::from_le_bytes(b)))?),
        DType::I32 => TensorData::Int(each(bytes, |b| i64::from(i32::from_le_bytes(b)))?),
        // The same bits, as everywhere.
        DType::U64 => TensorData::Int(each(bytes, |b| u64::from_le_bytes(b) as i64)?),
        DType::I64 => TensorData::Int(each(bytes, i64::from_le_bytes)?),
    })
}

/// Writes elements; none where the dtype cannot hold one of them exactly.
pub fn encode(dtype: DType, data: &TensorData) -> Option<Vec<u8>> {
    fn each<T: Copy, const N: usize>(
        items: &[T],
        write: impl Fn(T) -> Option<[u8; N]>,
    ) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(items.len() * N);
        for item in items {
            out.extend_from_slice(&write(*item)?);
        }
        Some(out)
    }
    /// Exactly the same number: a NaN stays a NaN.
    fn same(a: f64, b: f64) -> bool {
        a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
    }
    match (dtype, data) {
        (DType::F16, TensorData::Float(items)) => each(items, |x| {
            let bits = f64_to_f16(x);
            same(f16_to_f64(bits), x).then(|| bits.to_le_bytes())
        }),
        (DType::BF16, TensorData::Float(items)) => each(items, |x| {
            let bits = ((x as f32).to_bits() >> 16) as u16;
            same(bf16_to_f64(bits), x).then(|| bits.to_le_bytes())
        }),
        (DType::F32, TensorData::Float(items)) => each(items, |x| {
            same(f64::from(x as f32), x).then(|| (x as f32).to_le_bytes())
        }),
        (DType::F64, TensorData::Float(items)) => each(items, |x| Some(x.to_le_bytes())),
        (DType::U8, TensorData::Int(items)) => each(items, |x| Some([u8::try_from(x).ok()?])),
        (DType::Bool, TensorData::Int(items)) => each(items, |x| {
            Some([u8::try_from(x).ok().filter(|x| *x < 2)?])
        }),
        (DType::I8, TensorData::Int(items)) => {
            each(items, |x| Some(i8::try_from(x).ok()?.to_le_bytes()))
        }
        (DType::U16, TensorData::Int(items)) => {
            each(items, |x| Some(u16::try_from(x).ok()?.to_le_bytes()))
        }
        (DType::I16, TensorData::Int(items)) => {
            each(items, |x| Some(i16::try_from(x).ok()?.to_le_bytes()))
        }
        (DType::U32, TensorData::Int(items)) => {
            each(items, |x| Some(u32::try_from(x).ok()?.to_le_bytes()))
        }
        (DType::I32, TensorData::Int(items)) => {
            each(items, |x| Some(i32::try_from(x).ok()?.to_le_bytes()))
        }
        (DType::U64 | DType::I64, TensorData::Int(items)) => each(items, |x| Some(x.to_le_bytes())),
        (_, TensorData::Float(_) | TensorData::Int(_)) => None,
    }
}

fn bf16_to_f64(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

fn f16_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        0x1f if bits & 0x3ff == 0 => sign * f64::INFINITY,
        0x1f => f64::NAN,
        _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// The half of this value; towards zero where it holds no such, which the caller notices.
fn f64_to_f16(value: f64) -> u16 {
    let sign = u16::from(value.is_sign_negative()) << 15;
    let magnitude = value.abs();
    if magnitude.is_nan() {
        return sign | 0x7e00;
    }
    if magnitude >= 65536.0 {
        return sign | 0x7c00;
    }
    if magnitude < 2f64.powi(-14) {
        return sign | (magnitude * 2f64.powi(24)) as u16;
    }
    let exponent = (magnitude.to_bits() >> 52) as i32 - 1023;
    let fraction = magnitude * 2f64.powi(10 - exponent) - 1024.0;
    sign | ((exponent + 15) as u16) << 10 | fraction as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives() {
        for bits in 0..=u16::MAX {
            let value = f16_to_f64(bits);
            let back = f64_to_f16(value);
            assert!(
                back == bits || (value.is_nan() && f16_to_f64(back).is_nan()),
                "{bits:#x}"
            );
            let value = bf16_to_f64(bits);
            let data = TensorData::Float(vec![value]);
            let bytes = encode(DType::BF16, &data).unwrap();
            assert!(bytes == bits.to_le_bytes() || value.is_nan(), "{bits:#x}");
        }
    }

    #[test]
    fn known_halves() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2f64.powi(-24)),
        ] {
            assert_eq!(f16_to_f64(bits), value);
        }
    }

    #[test]
    fn integers_survive_and_too_large_ones_are_refused() {
        let data = TensorData::Int(vec![-3, 0, 127]);
        for dtype in [DType::I8, DType::I16, DType::I32, DType::I64, DType::U64] {
            assert_eq!(
                decode(dtype, &encode(dtype, &data).unwrap()),
                Some(data.clone())
            );
        }
        let large = TensorData::Int(vec![0, 40_000, 65_535]);
        for dtype in [DType::U16, DType::U32, DType::I32, DType::U64] {
            let bytes = encode(dtype, &large).unwrap();
            assert_eq!(bytes.len(), 3 * dtype.size());
            assert_eq!(decode(dtype, &bytes), Some(large.clone()));
        }
        assert_eq!(encode(DType::I16, &large), None);
        assert_eq!(encode(DType::U16, &TensorData::Int(vec![65_536])), None);
        assert_eq!(encode(DType::U32, &TensorData::Int(vec![1 << 32])), None);
        // Above the largest i64 the bits are those of a negative one.
        assert_eq!(
            decode(DType::U64, &u64::MAX.to_le_bytes()),
            Some(TensorData::Int(vec![-1]))
        );
        assert_eq!(encode(DType::U8, &data), None);
        assert_eq!(encode(DType::Bool, &data), None);
        assert_eq!(encode(DType::F32, &data), None);
        assert_eq!(encode(DType::F32, &TensorData::Float(vec![0.1])), None);
        assert_eq!(decode(DType::I32, &[0; 6]), None);
    }
}
