//! Counting along an axis.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, DType, Infer, Op, Operand, TensorType, TypeError, Types,
};

use crate::infer::dims_attr;

/// The op `iota`.
pub(super) struct Iota;

impl Op for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }

    fn doc(&self) -> &'static str {
        "A tensor whose elements are their own places on one axis, from 0 (ONNX `Range`, ATen \
         `arange`)."
    }

    fn operands(&self) -> &'static [Operand] {
        &[]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required("dims", AttrKind::Dims, "The dims of the result."),
            AttrSpec::required("dtype", AttrKind::DType, "The element type, not bool."),
            AttrSpec::optional(
                "axis",
                AttrKind::Int,
                "The axis to count along; 0 by default.",
            )
            .or(AttrDefault::Int(0)),
        ];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dims = dims_attr(cx, "dims")?;
        let axis = cx.attrs.int("axis").unwrap_or(0);
        syncarp_ir::normalize_axis(axis, dims.len())?;
        let dtype = cx.attrs.dtype("dtype");
        if dtype == Some(DType::Bool) {
            return Err(TypeError::new(
                "`dtype` must be a float or an integer, not bool",
            ));
        }
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn is_constant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use crate::testing::{dims, error_of, type_of};

    #[test]
    fn the_axis_lies_within_the_dims() {
        let of = |dtype: DType, axis: i64| {
            Attrs::new()
                .with("dims", dims("n,3"))
                .with("dtype", dtype)
                .with("axis", axis)
        };
        assert_eq!(
            type_of("iota", &[], of(DType::I64, -1)).to_string(),
            "i64[n, 3]"
        );
        assert!(error_of("iota", &[], of(DType::I64, 2)).contains("outside a rank"));
        assert!(error_of("iota", &[], of(DType::Bool, 0)).contains("not bool"));
    }
}
