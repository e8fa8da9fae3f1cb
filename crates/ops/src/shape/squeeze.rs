//! Dims of size 1 taken away and put in.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, BuildError, Dim, Expand, Infer, Op, Operand, Shape, TensorType, TypeError,
    Types, Values,
};

use crate::emit::Emit;
use crate::infer::marked;

/// The result's shape by a `reshape`.
pub(super) fn reshaped(cx: &mut Expand<'_>, op: &str) -> Result<Values, BuildError> {
    let Some(shape) = cx.types.first().and_then(|t| t.shape.clone()) else {
        return Err(BuildError::Invalid {
            op: op.to_owned(),
            message: "the rank of x must be known here; bind the graph's inputs first".to_owned(),
        });
    };
    Ok(smallvec![cx.b.reshape_to(cx.operands[0], &shape)?])
}

/// The op `squeeze`.
pub(super) struct Squeeze;

impl Op for Squeeze {
    fn name(&self) -> &'static str {
        "squeeze"
    }

    fn doc(&self) -> &'static str {
        "The operand without some dims, each of size 1 (ONNX `Squeeze`, ATen `squeeze.dims`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "axes",
            AttrKind::Ints,
            "The dims to take away; from the end where negative.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.operand(0)?.dtype;
        let Some(dims) = cx.dims(0)? else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        let marks = marked(cx.ints("axes")?, dims.len())?;
        let mut shape = Shape::new();
        for (axis, (dim, marked)) in dims.iter().zip(marks).enumerate() {
            match marked {
                false => shape.push(dim.clone()),
                true if *dim == Dim::Known(1) => {}
                true => {
                    let message = format!("dim {axis} must be 1 to be taken away, not {dim}");
                    return Err(TypeError::new(message));
                }
            }
        }
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(shape)
        }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(reshaped(cx, "squeeze"))
    }
}

/// The op `unsqueeze`.
pub(super) struct Unsqueeze;

impl Op for Unsqueeze {
    fn name(&self) -> &'static str {
        "unsqueeze"
    }

    fn doc(&self) -> &'static str {
        "The operand with dims of size 1 put in at the places that they have in the result (ONNX \
         `Unsqueeze`, ATen `unsqueeze`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "axes",
            AttrKind::Ints,
            "Where the new dims are in the result; from its end where negative.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.operand(0)?.dtype;
        let Some(dims) = cx.dims(0)? else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        let axes = cx.ints("axes")?;
        let marks = marked(axes, dims.len() + axes.len())?;
        let mut rest = dims.iter().cloned();
        let shape = marks.iter().map(|new| match new {
            true => Some(Dim::Known(1)),
            false => rest.next(),
        });
        Ok(smallvec![TensorType {
            dtype,
            shape: shape.collect()
        }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(reshaped(cx, "unsqueeze"))
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{dims, error_of, type_of};

    #[test]
    fn ones_go_and_come() {
        let at = |axes: &[i64]| Attrs::new().with("axes", axes);
        let x = [TensorType::new(DType::F32, dims("1,n,1,3"))];
        assert_eq!(
            type_of("squeeze", &x, at(&[0, -2])).to_string(),
            "f32[n, 3]"
        );
        assert!(error_of("squeeze", &x, at(&[1])).contains("must be 1"));
        assert!(error_of("squeeze", &x, at(&[0, -4])).contains("twice"));
        let y = [TensorType::new(DType::F32, dims("n,3"))];
        assert_eq!(
            type_of("unsqueeze", &y, at(&[0, -1])).to_string(),
            "f32[1, n, 3, 1]"
        );
        assert_eq!(
            type_of("unsqueeze", &y, at(&[1])).to_string(),
            "f32[n, 1, 3]"
        );
        assert!(error_of("unsqueeze", &y, at(&[3])).contains("outside a rank of 3"));
    }
}
