//! Neighbouring dims made one.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, BuildError, Expand, Infer, Op, Operand, Shape, TensorType,
    TypeError, Types, Values, normalize_axis,
};

use crate::infer::product;

use super::squeeze::reshaped;

/// The op `flatten`.
pub(super) struct Flatten;

impl Op for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn doc(&self) -> &'static str {
        "The dims from start to end, both included, made one; a scalar becomes a vector of one \
         element (ONNX `Flatten`, ATen `flatten.using_ints`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::optional("start", AttrKind::Int, "The first dim; 0 by default.")
                .or(AttrDefault::Int(0)),
            AttrSpec::optional(
                "end",
                AttrKind::Int,
                "The last dim; -1 by default, the last one.",
            )
            .or(AttrDefault::Int(-1)),
        ];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.operand(0)?.dtype;
        let Some(dims) = cx.dims(0)? else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        let rank = dims.len().max(1);
        let start = normalize_axis(cx.attrs.int("start").unwrap_or(0), rank)?;
        let end = normalize_axis(cx.attrs.int("end").unwrap_or(-1), rank)?;
        if start > end {
            let message = format!("`start` must not come after `end`: {start} and {end}");
            return Err(TypeError::new(message));
        }
        let last = (end + 1).min(dims.len());
        let mut shape = Shape::from(&dims[..start]);
        shape.push(product(&dims[start..last])?);
        shape.extend(dims[last..].iter().cloned());
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(shape)
        }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(reshaped(cx, "flatten"))
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{dims, error_of, type_of};

    #[test]
    fn dims_between_start_and_end_become_one() {
        let from = |start: i64, end: i64| Attrs::new().with("start", start).with("end", end);
        let x = [TensorType::new(DType::F32, dims("n,4,3,2"))];
        let shape = |attrs| type_of("flatten", &x, attrs).to_string();
        assert_eq!(shape(from(1, -1)), "f32[n, 24]");
        assert_eq!(shape(Attrs::new()), "f32[24*n]");
        assert_eq!(shape(from(0, 1)), "f32[4*n, 3, 2]");
        assert_eq!(shape(from(2, 2)), "f32[n, 4, 3, 2]");
        assert!(error_of("flatten", &x, from(2, 1)).contains("must not come after"));
        assert!(error_of("flatten", &x, from(0, 4)).contains("outside a rank"));
        let scalar = [TensorType::scalar(DType::F32)];
        assert_eq!(
            type_of("flatten", &scalar, Attrs::new()).to_string(),
            "f32[1]"
        );
        let unknown = [TensorType::unknown()];
        assert_eq!(
            type_of("flatten", &unknown, from(1, -1)),
            TensorType::unknown()
        );
    }
}
