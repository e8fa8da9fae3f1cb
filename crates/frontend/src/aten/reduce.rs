//! Functions that make one element of many.

use syncarp_ir::{Attrs, DType};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, \
             ScalarType? dtype=None) -> Tensor",
            "aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| reduce(c, "mean"),
    },
    Function {
        schemas: &[
            "aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, \
             ScalarType? dtype=None) -> Tensor",
            "aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| reduce(c, "sum"),
    },
    Function {
        schemas: &["aten::amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor"],
        lower: |c| reduce(c, "reduce_max"),
    },
    Function {
        schemas: &["aten::amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor"],
        lower: |c| reduce(c, "reduce_min"),
    },
    Function {
        schemas: &[
            "aten::prod.dim_int(Tensor self, int dim, bool keepdim=False, *, \
             ScalarType? dtype=None) -> Tensor",
            "aten::prod(Tensor self, *, ScalarType? dtype=None) -> Tensor",
        ],
        lower: |c| reduce(c, "prod"),
    },
    Function {
        schemas: &["aten::argmax(Tensor self, int dim, bool keepdim=False) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let axis = c.int("dim")?;
            let axis = c.axis(x, axis)?;
            let attrs = Attrs::new()
                .with("axis", axis)
                .with("keep", c.bool("keepdim")?);
            c.give_with("argmax", &[x], attrs)
        },
    },
];

fn reduce(c: &mut Call<'_, '_>, op: &str) -> Lowered {
    let mut x = c.tensor("self")?;
    let asked = c.has("dtype") && *c.arg("dtype") != Arg::None;
    if asked {
        x = c.cast_as_asked(x)?;
    } else if matches!(op, "sum" | "prod") {
        // PyTorch adds up small integers as large ones.
        if matches!(
            c.ty(x).dtype,
            Some(DType::Bool | DType::U8 | DType::I8 | DType::I32)
        ) {
            x = c.cast(x, DType::I64)?;
        }
    }
    let mut attrs = Attrs::new();
    if c.has("dim") {
        let axes = c.ints("dim")?;
        // Without any axis everything is reduced.
        if !axes.is_empty() {
            let axes = axes
                .iter()
                .map(|axis| c.axis(x, *axis))
                .collect::<Result<Vec<_>, _>>()?;
            attrs.set("axes", axes);
        }
        attrs.set("keep", c.bool("keepdim")?);
    }
    c.give_with(op, &[x], attrs)
}
