//! The op `unsqueeze`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, BuildError, Dim, Expand, Infer, Op, Operand, TensorType, TypeError, Types,
    Values,
};

use super::reshaped;
use crate::infer::marked;

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

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axes=[1]}")
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
    use crate::testing::check;

    #[test]
    fn ones_come() {
        check("unsqueeze")
            .gives("f32[n, 3] {axes=[0, -1]}", "f32[1, n, 3, 1]")
            .gives("f32[n, 3] {axes=[1]}", "f32[n, 1, 3]")
            .gives("?[*] {axes=[0]}", "?[*]")
            .refuses("f32[n, 3] {axes=[3]}", "outside a rank of 3")
            .decomposes("f32[n, 1, 4] {axes=[0, -1]}")
            .flops("f32[2, 3] {axes=[1]}", 0);
    }
}
