//! The op `squeeze`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, BuildError, Dim, Expand, Infer, Op, Operand, Shape, TensorType, TypeError,
    Types, Values,
};

use super::reshaped;
use crate::infer::marked;

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

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 1, 3] {axes=[1]}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(reshaped(cx, "squeeze"))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn ones_go() {
        check("squeeze")
            .gives("f32[1, n, 1, 3] {axes=[0, -2]}", "f32[n, 3]")
            .gives("?[*] {axes=[0]}", "?[*]")
            .refuses("f32[1, n] {axes=[1]}", "must be 1")
            .refuses("f32[1, n, 1, 3] {axes=[0, -4]}", "twice")
            .decomposes("f32[n, 1, 4] {axes=[1]}")
            .flops("f32[2, 1, 3] {axes=[1]}", 0);
    }
}
