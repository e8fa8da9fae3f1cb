//! Functions that put elements in order, and that go along an axis.

use syncarp_ir::{Attrs, DType};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.axis(x, c.int("dim")?)?;
            let attrs = Attrs::new()
                .with("k", c.int("k")?)
                .with("axis", axis)
                .with("largest", c.bool("largest")?)
                .with("sorted", c.bool("sorted")?);
            let made = c.emit_all("top_k", &[x], attrs)?;
            Arg::list(made.iter().copied().map(Arg::Tensor).collect())
        },
    },
    Function {
        schemas: &[
            "aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor, Tensor)",
            "aten::sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) \
             -> (Tensor, Tensor)",
        ],
        lower: sort,
    },
    Function {
        schemas: &[
            "aten::argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor",
            "aten::argsort.stable(Tensor self, *, bool stable, int dim=-1, \
             bool descending=False) -> Tensor",
        ],
        lower: |c| {
            Ok(sort(c)?
                .items()
                .and_then(|items| items.get(1))
                .cloned()
                .unwrap_or(Arg::None))
        },
    },
    Function {
        schemas: &["aten::cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor"],
        lower: |c| along(c, "cumsum"),
    },
    Function {
        schemas: &["aten::cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor"],
        lower: |c| along(c, "cumprod"),
    },
    Function {
        schemas: &["aten::flip(Tensor self, int[] dims) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axes = c.ints("dims")?;
            match axes.is_empty() {
                true => Ok(Arg::Tensor(x)),
                false => c.give_with("reverse", &[x], Attrs::new().with("axes", axes)),
            }
        },
    },
];

fn sort(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let axis = c.axis(x, c.int("dim")?)?;
    let dims = c.dims(x)?;
    let k = dims.get(axis as usize).and_then(|dim| dim.known());
    let k = k.and_then(|k| i64::try_from(k).ok());
    let k = k.ok_or("an axis is sorted whose size is known")?;
    let attrs = Attrs::new()
        .with("k", k)
        .with("axis", axis)
        .with("largest", c.bool("descending")?);
    let made = c.emit_all("top_k", &[x], attrs)?;
    Arg::list(made.iter().copied().map(Arg::Tensor).collect())
}

fn along(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let x = c.tensor("self")?;
    let axis = c.axis(x, c.int("dim")?)?;
    let x = match (c.dtype_opt("dtype")?, c.ty(x).dtype) {
        (Some(dtype), _) => c.cast(x, dtype)?,
        // Integers of any width are added up as the widest.
        (None, Some(dtype)) if !dtype.is_float() => c.cast(x, DType::I64)?,
        _ => x,
    };
    if c.ty(x).rank() == Some(0) {
        return Ok(Arg::Tensor(x));
    }
    c.give_with(op, &[x], Attrs::new().with("axis", axis))
}
