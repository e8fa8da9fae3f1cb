//! What the inference of several families has in common.

use syncarp_ir::{DType, Dim, Infer, Shape, TypeError, broadcast, normalize_axis};

/// Which elements an op takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Takes {
    /// Floats only.
    Floats,
    /// Floats and integers.
    Numbers,
    /// Integers only.
    Integers,
    /// Integers and truth values.
    Bits,
    /// Truth values only.
    Truths,
    /// Anything.
    All,
}

impl Takes {
    fn admits(self, dtype: DType) -> bool {
        match self {
            Takes::Floats => dtype.is_float(),
            Takes::Numbers => dtype != DType::Bool,
            Takes::Integers => dtype.is_integer(),
            Takes::Bits => !dtype.is_float(),
            Takes::Truths => dtype == DType::Bool,
            Takes::All => true,
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Takes::Floats => "a float",
            Takes::Numbers => "a float or an integer",
            Takes::Integers => "an integer",
            Takes::Bits => "an integer or a bool",
            Takes::Truths => "a bool",
            Takes::All => "anything",
        }
    }

    /// Demands that operands in a range have one dtype, and one that the op takes.
    pub(crate) fn one_dtype(
        self,
        cx: &Infer<'_>,
        range: std::ops::Range<usize>,
    ) -> Result<Option<DType>, TypeError> {
        for index in range.clone() {
            match cx.operand(index)?.dtype {
                Some(dtype) if !self.admits(dtype) => {
                    let wants = self.wants();
                    let message = format!("operand {index} must be {wants}, not {dtype}");
                    return Err(TypeError::new(message));
                }
                _ => {}
            }
        }
        cx.same_dtype(range)
    }
}

/// The shape that all operands in a range broadcast to; unknown where the rank of one is.
pub(crate) fn broadcast_all(
    cx: &Infer<'_>,
    range: std::ops::Range<usize>,
) -> Result<Option<Shape>, TypeError> {
    let mut all = Some(Shape::new());
    let mut known = Shape::new();
    for index in range {
        match cx.dims(index)? {
            Some(dims) => known = broadcast(&known, dims)?,
            None => all = None,
        }
    }
    Ok(all.map(|_| known))
}

/// The shape that operands without broadcasting have in common.
pub(crate) fn one_shape(
    cx: &Infer<'_>,
    range: std::ops::Range<usize>,
) -> Result<Option<Shape>, TypeError> {
    let mut seen: Option<&[Dim]> = None;
    for index in range {
        match (seen, cx.dims(index)?) {
            (Some(a), Some(b)) if a != b => {
                let message = format!("operand {index} has dims {b:?}, another has {a:?}");
                return Err(TypeError::new(message));
            }
            (a, b) => seen = a.or(b),
        }
    }
    Ok(seen.map(Shape::from))
}

/// The product of dims.
pub(crate) fn product(dims: &[Dim]) -> Result<Dim, TypeError> {
    let one = Some(Dim::Known(1));
    let product = dims.iter().fold(one, |all, d| all?.times(d));
    product.ok_or_else(|| TypeError::new(format!("dims {dims:?} have too many elements")))
}

/// A required attribute that holds dims.
pub(crate) fn dims_attr<'a>(cx: &Infer<'a>, name: &str) -> Result<&'a [Dim], TypeError> {
    let dims = cx.attrs.dims(name);
    dims.ok_or_else(|| TypeError::new(format!("attribute `{name}` is missing")))
}

/// For each dim of a rank, whether an axis names it; each at most once.
pub(crate) fn marked(axes: &[i64], rank: usize) -> Result<Vec<bool>, TypeError> {
    let mut marks = vec![false; rank];
    for axis in axes {
        let at = normalize_axis(*axis, rank)?;
        if std::mem::replace(&mut marks[at], true) {
            return Err(TypeError::new(format!(
                "axis {axis} is named twice in {axes:?}"
            )));
        }
    }
    Ok(marks)
}
