//! The op `max_pool2d` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Attrs, DType, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError,
    Types,
};

use super::window::{
    CEIL_MODE, DILATION, DIMS, KERNEL, PADDING, POOL_STRIDE, Pool, agree, image_dims,
};
use crate::emit::Emit;
use crate::infer::one_shape;

/// The op `max_pool2d`.
pub(super) struct MaxPool2d;

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn doc(&self) -> &'static str {
        "The largest element of each window over images, and where it is. x [n, c, h, w] gives y \
         [n, c, oh, ow] and index i64[n, c, oh, ow], the place h w + column in the plane that it \
         comes from: of equal elements the first, of NaN the last. Padding never counts (ONNX \
         `MaxPool`, ATen `max_pool2d_with_indices`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn results(&self) -> &'static [&'static str] {
        &["y", "index"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[KERNEL, POOL_STRIDE, PADDING, DILATION, CEIL_MODE] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        let pool = Pool::read(cx.attrs)?;
        let shape = cx.rank(0, 4)?.map(|x| pool.shape(x)).transpose()?;
        let index = TensorType {
            dtype: Some(DType::I64),
            shape: shape.clone(),
        };
        Ok(smallvec![TensorType { dtype, shape }, index])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 8, 8] {kernel=[2, 2]}")
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        let [height, width] = Pool::read(cx.attrs).ok()?.kernel;
        results[0]
            .elements()?
            .checked_mul(height.checked_mul(width)?)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dims = cx.b.dims_of(cx.operands[0])?;
            let attrs = Attrs::new().with("dims", &dims[..]);
            let dx =
                cx.b.call_with("max_pool2d_grad", &[dy, cx.results[1]], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `max_pool2d_grad`.
pub(super) struct MaxPool2dGrad;

impl Op for MaxPool2dGrad {
    fn name(&self) -> &'static str {
        "max_pool2d_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `max_pool2d`: every element of dy [n, c, oh, ow] added where its index \
         says, to zeros [n, c, h, w], which is what `dims` says (ATen \
         `max_pool2d_with_indices_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy"), Operand::one("index")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[DIMS] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        if let Some(index) = cx.operand(1)?.dtype.filter(|d| *d != DType::I64) {
            return Err(TypeError::new(format!("`index` must be i64, not {index}")));
        }
        let dims = image_dims(cx)?;
        cx.rank(0, 4)?;
        if let Some(dy) = one_shape(cx, 0..2)? {
            agree("the images of `dy`", &dy[0], &dims[0])?;
            agree("the channels of `dy`", &dy[1], &dims[1])?;
        }
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 4, 4], i64[2, 3, 4, 4] {dims=dims[2, 3, 8, 8]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use super::super::testing::gradients;
    use crate::testing::{check, dims, error_of, inputs, type_of};

    fn f32s(text: &str) -> TensorType {
        TensorType::new(DType::F32, dims(text))
    }

    fn pool(kernel: i64, stride: i64, padding: i64, dilation: i64, ceil: bool) -> Attrs {
        Attrs::new()
            .with("kernel", vec![kernel; 2])
            .with("stride", vec![stride; 2])
            .with("padding", vec![padding; 2])
            .with("dilation", vec![dilation; 2])
            .with("ceil_mode", ceil)
    }

    #[test]
    fn sizes_are_as_the_rule_with_dropped_windows_says() {
        for kernel in 1..5 {
            for stride in 1..6 {
                for dilation in 1..3 {
                    let reach = (kernel - 1) * dilation + 1;
                    for padding in 0..=reach / 2 {
                        for size in 1..12 {
                            sized(size, kernel, stride, padding, dilation, reach);
                        }
                    }
                }
            }
        }
    }

    fn sized(size: i64, kernel: i64, stride: i64, padding: i64, dilation: i64, reach: i64) {
        for ceil in [false, true] {
            // The rule as it is usually written: round up, then drop what begins too far out.
            let room = size + 2 * padding - reach + if ceil { stride - 1 } else { 0 };
            let mut right = room.div_euclid(stride) + 1;
            if ceil && (right - 1) * stride >= size + padding {
                right -= 1;
            }
            let x = [f32s(&format!("2,3,{size},{size}"))];
            let attrs = pool(kernel, stride, padding, dilation, ceil);
            if right < 1 {
                assert!(error_of("max_pool2d", &x, attrs).contains("does not fit"));
            } else {
                let got = type_of("max_pool2d", &x, attrs).to_string();
                assert_eq!(got, format!("f32[2, 3, {right}, {right}]"));
            }
        }
    }

    #[test]
    fn symbols_flow_and_wrong_windows_are_refused() {
        let x = [f32s("n,c,h,8")];
        let halves = type_of("max_pool2d", &x, Attrs::new().with("kernel", vec![2i64, 2]));
        assert_eq!(halves.to_string(), "f32[n, c, ((h) // (2)), 4]");
        let (mut b, values) = inputs(&x);
        let both = b
            .emit("max_pool2d", &values, pool(2, 2, 0, 1, true))
            .unwrap();
        assert_eq!(b.ty(both[1]).to_string(), "i64[n, c, ((h + 1) // (2)), 4]");
        let unknown = [TensorType::unknown()];
        let attrs = pool(2, 2, 0, 1, false);
        assert_eq!(
            type_of("max_pool2d", &unknown, attrs),
            TensorType::unknown()
        );
        assert!(error_of("max_pool2d", &x, pool(2, 2, 2, 1, false)).contains("half"));
        assert!(error_of("max_pool2d", &x, Attrs::new()).contains("`kernel` is missing"));
        let whole = [TensorType::new(DType::I64, dims("n,c,8,8"))];
        assert!(error_of("max_pool2d", &whole, pool(2, 2, 0, 1, false)).contains("float"));
    }

    #[test]
    fn the_gradient_has_the_type_of_the_operand() {
        let x = [f32s("n,3,7,8")];
        let got = gradients("max_pool2d", &x, pool(3, 2, 1, 1, true));
        assert_eq!(got, x.map(Some));
    }

    #[test]
    fn the_work_is_one_for_each_element_of_a_window() {
        check("max_pool2d")
            .differentiates("f32[2, 3, 8, 8] {kernel=[2, 2]}")
            .flops("f32[2, 3, 8, 8] {kernel=[2, 2]}", 384);
        check("max_pool2d_grad")
            .gives(
                "f32[2, 3, 4, 4], i64[2, 3, 4, 4] {dims=dims[2, 3, 8, 8]}",
                "f32[2, 3, 8, 8]",
            )
            .flops(
                "f32[2, 3, 4, 4], i64[2, 3, 4, 4] {dims=dims[2, 3, 8, 8]}",
                96,
            );
    }
}
