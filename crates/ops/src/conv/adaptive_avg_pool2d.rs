//! The op `adaptive_avg_pool2d` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, Dim, Gradient, GradientError, Infer, Op, Operand, Shape, TensorType,
    TypeError, Types,
};

use super::window::{DIMS, agree_all, image_dims, list};
use crate::emit::Emit;

const OUTPUT: AttrSpec = AttrSpec::required(
    "output",
    AttrKind::Ints,
    "The number of windows along the height and along the width.",
);

/// The dims of the pooled images.
fn pooled(cx: &Infer<'_>, x: &[Dim]) -> Result<Shape, TypeError> {
    let [height, width] = list::<2>(cx.attrs, "output", None, 1)?.map(Dim::Known);
    if x[2..].contains(&Dim::Known(0)) {
        return Err(TypeError::new(format!(
            "images must have pixels; dims are {x:?}"
        )));
    }
    Ok(Shape::from_iter([
        x[0].clone(),
        x[1].clone(),
        height,
        width,
    ]))
}

/// The op `adaptive_avg_pool2d`.
pub(super) struct AdaptiveAvgPool2d;

impl Op for AdaptiveAvgPool2d {
    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d"
    }

    fn doc(&self) -> &'static str {
        "The means of `output` windows that cover images [n, c, h, w], giving [n, c, oh, ow]. \
         Window i of oh covers rows i h // oh up to the last before (i + 1) h / oh, so that \
         neighbours overlap where h does not divide (ATen `adaptive_avg_pool2d`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[OUTPUT] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        list::<2>(cx.attrs, "output", None, 1)?;
        let shape = cx.rank(0, 4)?.map(|x| pooled(cx, x)).transpose()?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 8, 8] {output=[2, 2]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dims = cx.b.dims_of(cx.operands[0])?;
            let mut attrs = Attrs::new().with("dims", &dims[..]);
            if let Some(output) = cx.attrs.ints("output") {
                attrs.set("output", output);
            }
            let dx = cx.b.call_with("adaptive_avg_pool2d_grad", &[dy], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `adaptive_avg_pool2d_grad`.
pub(super) struct AdaptiveAvgPool2dGrad;

impl Op for AdaptiveAvgPool2dGrad {
    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `adaptive_avg_pool2d`: every element of dy [n, c, oh, ow] spread evenly \
         over its window in [n, c, h, w], which is what `dims` says (ATen \
         `_adaptive_avg_pool2d_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[OUTPUT, DIMS] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        let dims = image_dims(cx)?;
        let y = pooled(cx, dims)?;
        agree_all("`dy`", cx.rank(0, 4)?.unwrap_or_default(), &y)?;
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 2, 2] {output=[2, 2], dims=dims[2, 3, 8, 8]}")
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use super::super::testing::gradients;
    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn the_result_has_the_size_asked_for() {
        let x = [TensorType::new(DType::F32, dims("n,3,h,8"))];
        let to = |h: i64, w: i64| Attrs::new().with("output", vec![h, w]);
        let op = "adaptive_avg_pool2d";
        assert_eq!(type_of(op, &x, to(3, 5)).to_string(), "f32[n, 3, 3, 5]");
        assert_eq!(gradients(op, &x, to(3, 5)), x.clone().map(Some));
        assert!(error_of(op, &x, to(0, 5)).contains("at least 1"));
        assert!(error_of(op, &x, Attrs::new()).contains("`output` is missing"));
        let empty = [TensorType::new(DType::F32, dims("n,3,0,8"))];
        assert!(error_of(op, &empty, to(1, 1)).contains("must have pixels"));
        let flat = [TensorType::new(DType::F32, dims("n,3"))];
        assert!(error_of(op, &flat, to(1, 1)).contains("4 dims"));
    }

    #[test]
    fn the_work_is_one_for_each_element_of_a_window() {
        check("adaptive_avg_pool2d")
            .differentiates("f32[2, 3, 8, 8] {output=[2, 2]}")
            .flops("f32[2, 3, 8, 8] {output=[2, 2]}", 384);
        check("adaptive_avg_pool2d_grad")
            .gives(
                "f32[2, 3, 2, 2] {output=[2, 2], dims=dims[2, 3, 8, 8]}",
                "f32[2, 3, 8, 8]",
            )
            .flops(
                "f32[2, 3, 2, 2] {output=[2, 2], dims=dims[2, 3, 8, 8]}",
                384,
            );
    }
}
