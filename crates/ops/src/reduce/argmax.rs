//! Where the largest element is.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, DType, Dim, Infer, Op, Operand, Shape, TensorType, TypeError,
    Types,
};

use super::KEEP;
use crate::infer::Takes;

/// The op `argmax`.
pub(super) struct Argmax;

impl Op for Argmax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn doc(&self) -> &'static str {
        "The place of the largest element on an axis, the first or the last of equal ones; NaN \
         counts as largest (ONNX `ArgMax`, ATen `argmax`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const AXIS: AttrSpec = AttrSpec::required(
            "axis",
            AttrKind::Int,
            "The axis; from the end where negative.",
        );
        const LAST: AttrSpec = AttrSpec::optional(
            "last",
            AttrKind::Bool,
            "Whether the last of equal ones and not the first.",
        )
        .or(AttrDefault::Bool(false));
        const { &[AXIS, KEEP, LAST] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Takes::Numbers.one_dtype(cx, 0..1)?;
        let dtype = Some(DType::I64);
        let Some(dims) = cx.dims(0)? else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        let axis = cx.axis("axis", dims.len())?;
        if dims[axis] == Dim::Known(0) {
            let message = format!("axis {axis} must have elements; dims are {dims:?}");
            return Err(TypeError::new(message));
        }
        let mut shape = Shape::from(dims);
        match cx.attrs.bool("keep") {
            Some(true) => shape[axis] = Dim::Known(1),
            _ => drop(shape.remove(axis)),
        }
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(shape)
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axis=1}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn is_constant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn the_axis_goes_or_stays_as_one() {
        let x = [TensorType::new(DType::F32, dims("n,4"))];
        let along = |axis: i64, keep: bool| Attrs::new().with("axis", axis).with("keep", keep);
        assert_eq!(
            type_of("argmax", &x, along(-1, false)).to_string(),
            "i64[n]"
        );
        assert_eq!(
            type_of("argmax", &x, along(0, true)).to_string(),
            "i64[1, 4]"
        );
        assert!(error_of("argmax", &x, along(2, true)).contains("outside"));
        let none = [TensorType::fixed(DType::F32, &[3, 0])];
        assert!(error_of("argmax", &none, along(1, false)).contains("must have elements"));
    }

    #[test]
    fn gradients_stop_there() {
        check("argmax")
            .stops("f32[n, 4] {axis=1}")
            .flops("f32[2, 3] {axis=1}", 6);
    }
}
