//! What the inference of ops with named roles demands of their operands.

use syncarp_ir::{DType, Dim, Infer, TensorType, TypeError};

/// The one float dtype of some operands; those that were left out do not count.
pub(crate) fn floats(cx: &Infer<'_>, operands: &[usize]) -> Result<Option<DType>, TypeError> {
    let mut seen: Option<(usize, DType)> = None;
    for &index in operands.iter().filter(|i| **i < cx.operands.len()) {
        match (seen, cx.float(index)?) {
            (Some((other, a)), Some(b)) if a != b => {
                let message = format!("operand {index} must be {a} as operand {other} is, not {b}");
                return Err(TypeError::new(message));
            }
            (None, Some(dtype)) => seen = Some((index, dtype)),
            _ => {}
        }
    }
    Ok(seen.map(|(_, dtype)| dtype))
}

/// Demands that an operand, where its dtype is known, holds integers.
pub(crate) fn integers(cx: &Infer<'_>, index: usize) -> Result<(), TypeError> {
    match cx.operand(index)?.dtype {
        Some(dtype) if dtype.is_float() || dtype == DType::Bool => Err(TypeError::new(format!(
            "operand {index} must be an integer, not {dtype}"
        ))),
        _ => Ok(()),
    }
}

/// Demands that operands, where their ranks are known, are scalars.
pub(crate) fn scalars(
    cx: &Infer<'_>,
    operands: impl IntoIterator<Item = usize>,
) -> Result<(), TypeError> {
    operands
        .into_iter()
        .try_for_each(|index| cx.rank(index, 0).map(drop))
}

/// Demands that two dims are one, and says what they are where they are not.
pub(crate) fn equal(a: &Dim, b: &Dim, what: &str) -> Result<(), TypeError> {
    if a == b {
        return Ok(());
    }
    Err(TypeError::new(format!(
        "{what} must be equal, but are {a} and {b}"
    )))
}

/// The size that all of some operands, which must have one dim, agree on, where one of them is
/// known; `seen` is what is known of it before.
pub(crate) fn vectors(
    cx: &Infer<'_>,
    operands: impl IntoIterator<Item = usize>,
    seen: Option<Dim>,
    what: &str,
) -> Result<Option<Dim>, TypeError> {
    let mut seen = seen;
    for index in operands {
        match (&seen, cx.rank(index, 1)?) {
            (Some(a), Some([b])) => equal(a, b, what)?,
            (None, Some([b])) => seen = Some(b.clone()),
            _ => {}
        }
    }
    Ok(seen)
}

/// The type of an operand's dims with another dtype, where both or either may be unknown.
pub(crate) fn typed(dtype: Option<DType>, dims: Option<&[Dim]>) -> TensorType {
    TensorType {
        dtype,
        shape: dims.map(|d| d.iter().cloned().collect()),
    }
}

/// A product of numbers of floating-point operations; none where it overflows.
pub(crate) fn work(factors: &[u64]) -> Option<u64> {
    factors.iter().try_fold(1u64, |all, f| all.checked_mul(*f))
}
