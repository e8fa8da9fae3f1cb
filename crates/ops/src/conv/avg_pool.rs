//! The mean of each window.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, BuildError, Gradient, GradientError, Infer, Op, Operand,
    TensorType, TypeError, Types,
};

use super::window::{CEIL_MODE, DIMS, KERNEL, PADDING, POOL_STRIDE, Pool, agree_all, image_dims};
use crate::emit::Emit;

const COUNT_INCLUDE_PAD: AttrSpec = AttrSpec::optional(
    "count_include_pad",
    AttrKind::Bool,
    "Whether padding counts in the mean; by default it does.",
)
.or(AttrDefault::Bool(true));

/// The op `avg_pool2d`.
pub(super) struct AvgPool2d;

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn doc(&self) -> &'static str {
        "The mean of each window over images: x [n, c, h, w] gives [n, c, oh, ow]. What of a window \
         lies beyond the padding never counts (ONNX `AveragePool`, ATen `avg_pool2d`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[KERNEL, POOL_STRIDE, PADDING, CEIL_MODE, COUNT_INCLUDE_PAD] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        let pool = Pool::read(cx.attrs)?;
        let shape = cx.rank(0, 4)?.map(|x| pool.shape(x)).transpose()?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        window_flops(cx, &results[0])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let pool = Pool::read(cx.attrs).map_err(|e| BuildError::Invalid {
                op: "avg_pool2d".to_owned(),
                message: e.message,
            })?;
            let dims = cx.b.dims_of(cx.operands[0])?;
            let attrs = pool
                .attrs()
                .with(
                    "count_include_pad",
                    cx.attrs.bool("count_include_pad").unwrap_or(true),
                )
                .with("dims", &dims[..]);
            let dx = cx.b.call_with("avg_pool2d_grad", &[dy], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// One operation for each element of each window.
fn window_flops(cx: &Infer<'_>, y: &TensorType) -> Option<u64> {
    let [height, width] = Pool::read(cx.attrs).ok()?.kernel;
    y.elements()?.checked_mul(height.checked_mul(width)?)
}

/// The op `avg_pool2d_grad`.
pub(super) struct AvgPool2dGrad;

impl Op for AvgPool2dGrad {
    fn name(&self) -> &'static str {
        "avg_pool2d_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `avg_pool2d`: every element of dy [n, c, oh, ow] spread evenly over its \
         window in [n, c, h, w], which is what `dims` says (ATen `avg_pool2d_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[
                KERNEL,
                POOL_STRIDE,
                PADDING,
                CEIL_MODE,
                COUNT_INCLUDE_PAD,
                DIMS,
            ]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        let pool = Pool::read(cx.attrs)?;
        let dims = image_dims(cx)?;
        let y = pool.shape(dims)?;
        agree_all("`dy`", cx.rank(0, 4)?.unwrap_or_default(), &y)?;
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        window_flops(cx, cx.operands.first()?)
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use super::super::testing::gradients;
    use crate::testing::{dims, error_of, type_of};

    #[test]
    fn windows_slide_as_those_of_the_largest_do() {
        let x = [TensorType::new(DType::F64, dims("n,3,9,w"))];
        let attrs = Attrs::new()
            .with("kernel", vec![3i64, 2])
            .with("stride", vec![2i64, 1])
            .with("padding", vec![1i64, 0])
            .with("ceil_mode", true)
            .with("count_include_pad", false);
        assert_eq!(
            type_of("avg_pool2d", &x, attrs.clone()).to_string(),
            "f64[n, 3, 5, w - 1]"
        );
        assert_eq!(
            gradients("avg_pool2d", &x, attrs.clone()),
            x.clone().map(Some)
        );
        let dilated = attrs.clone().with("dilation", vec![1i64, 1]);
        assert!(error_of("avg_pool2d", &x, dilated).contains("no attribute `dilation`"));
        let dy = [TensorType::new(DType::F64, dims("n,3,4,8"))];
        let text = error_of("avg_pool2d_grad", &dy, attrs.with("dims", dims("n,3,9,9")));
        assert!(text.contains("dim 2 of `dy` must be 5, not 4"), "{text}");
    }
}
