//! Slices that an index names.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError,
    Types,
};

use super::{AXIS, agree, around};
use crate::emit::Emit;
use crate::expect::integers;
use crate::infer::dims_attr;

/// The op `gather`.
pub(super) struct Gather;

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn doc(&self) -> &'static str {
        "The slices of x along an axis whose places an integer index names: x [a..., s, b...] \
         and index [i...] give [a..., i..., b...]. A negative place counts from the end; one \
         that is not there gives NaN, of other elements than floats zero (ONNX `Gather`, ATen \
         `index_select`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("index")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXIS] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[5, 3], i64[4] {axis=0}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 1)?;
        let dtype = cx.operand(0)?.dtype;
        let x = cx.dims(0)?;
        let axis = x.map(|x| cx.axis("axis", x.len())).transpose()?;
        let shape = match (x, axis, cx.dims(1)?) {
            (Some(x), Some(axis), Some(index)) => Some(around(x, axis, index)),
            _ => None,
        };
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dims = cx.b.dims_of(cx.operands[0])?;
            let attrs = cx.attrs.clone().with("dims", &dims[..]);
            let dx =
                cx.b.call_with("gather_grad", &[dy, cx.operands[1]], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `gather_grad`.
pub(super) struct GatherGrad;

impl Op for GatherGrad {
    fn name(&self) -> &'static str {
        "gather_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `gather`: every slice of dy [a..., i..., b...] added where its index \
         [i...] says, in order, to zeros [a..., s, b...], which is what `dims` says (ATen \
         `index_select_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy"), Operand::one("index")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const DIMS: AttrSpec = AttrSpec::required(
            "dims",
            AttrKind::Dims,
            "The dims of what was gathered from.",
        );
        const { &[AXIS, DIMS] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[4, 3], i64[4] {axis=0, dims=dims[5, 3]}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        integers(cx, 1)?;
        let dims = dims_attr(cx, "dims")?;
        let axis = cx.axis("axis", dims.len())?;
        if let (Some(dy), Some(index)) = (cx.dims(0)?, cx.dims(1)?) {
            agree("dy", dy, &around(dims, axis, index))?;
        }
        let shape = Some(dims.into());
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let axis = cx.attrs.int("axis").unwrap_or(0);
            let attrs = Attrs::new().with("axis", axis);
            let dx = cx.b.call_with("gather", &[dy, cx.operands[1]], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};
    use crate::testing::dims;

    fn along(axis: i64) -> Attrs {
        Attrs::new().with("axis", axis)
    }

    #[test]
    fn the_index_takes_the_place_of_the_axis() {
        let of = |types, axis| results("gather", types, along(axis));
        assert_eq!(of("f32[n, 5, 4], i64[m, 2]", 1), "f32[n, m, 2, 4]");
        assert_eq!(of("bool[n, 5], i32[]", -2), "bool[5]");
        assert_eq!(of("f32[*], i64[3]", 7), "f32[*]");
        assert_eq!(of("f32[2], ?[*]", 0), "f32[*]");
        let wrong = |types, axis| error("gather", types, along(axis));
        assert!(wrong("f32[2], f32[3]", 0).contains("operand 1 must be an integer"));
        assert!(wrong("f32[2], i64[3]", 1).contains("outside a rank of 1"));
        assert!(wrong("f32[2], i64[*]", i64::MIN).contains("outside a rank of 1"));
        assert!(error("gather", "f32[2], i64[3]", Attrs::new()).contains("`axis` is missing"));
    }

    #[test]
    fn gradients_go_back() {
        let got = gradients("gather", "f32[n, 5, 4], i64[m]", along(1));
        assert_eq!(got, "f32[n, 5, 4], ?[*]");
        let whole = || along(1).with("dims", dims("n,5,4"));
        let got = gradients("gather_grad", "f32[n, m, 4], i64[m]", whole());
        assert_eq!(got, "f32[n, m, 4], ?[*]");
        let wrong = error("gather_grad", "f32[n, 2, 4], i64[m]", whole());
        assert!(wrong.contains("dy must have dims [n, m, 4]"));
    }
}
