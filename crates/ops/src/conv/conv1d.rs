//! The op `conv1d`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, BuildError, Dim, Expand, Infer, Op, Operand, Shape, TensorType, TypeError, Types,
    Values,
};

use super::conv2d::{OPERANDS, conv_flops, infer_conv};
use super::window::{DILATION, GROUPS, PADDING, STRIDE, Steps, groups, ints};
use crate::emit::Emit;

/// The op `conv1d`.
pub(super) struct Conv1d;

impl Op for Conv1d {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn doc(&self) -> &'static str {
        "A convolution (cross-correlation) over sequences. x [n, c, l], weight [o, c / groups, k] \
         and bias [o] give [n, o, m], where m is (l + 2 padding - dilation (k - 1) - 1) // stride \
         + 1 (ONNX `Conv`, ATen `conv1d`)."
    }

    fn operands(&self) -> &'static [Operand] {
        OPERANDS
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[STRIDE, PADDING, DILATION, GROUPS] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        infer_conv::<1>(cx)
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 8], f32[4, 3, 3], f32[4] {padding=[1]}")
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        conv_flops(cx.operands.get(1)?, &results[0])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(as_images(cx))
    }
}

/// The convolution of images of height one.
fn as_images(cx: &mut Expand<'_>) -> Result<Values, BuildError> {
    let invalid = |e: TypeError| BuildError::Invalid {
        op: "conv1d".to_owned(),
        message: e.message,
    };
    let steps = Steps::<1>::read(cx.attrs, [1]).map_err(invalid)?;
    let flat = Steps {
        stride: [1, steps.stride[0]],
        padding: [0, steps.padding[0]],
        dilation: [1, steps.dilation[0]],
    };
    let groups = ints(&[groups(cx.attrs).map_err(invalid)?])[0];
    let mut operands = cx.operands.to_vec();
    for operand in &mut operands[..2] {
        let mut dims = cx.b.dims_of(*operand)?;
        dims.insert(2, Dim::Known(1));
        *operand = cx.b.reshape_to(*operand, &dims)?;
    }
    let y =
        cx.b.call_with("conv2d", &operands, flat.attrs().with("groups", groups))?;
    let mut dims: Shape = cx.b.dims_of(y)?;
    dims.remove(2);
    Ok(smallvec![cx.b.reshape_to(y, &dims)?])
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, decomposed, dims, error_of, type_of};

    #[test]
    fn sequences_are_images_of_height_one() {
        let f32s = |text: &str| TensorType::new(DType::F32, dims(text));
        let types = [f32s("n,4,9"), f32s("6,2,3"), f32s("6")];
        let attrs = Attrs::new()
            .with("groups", 2)
            .with("stride", vec![2i64])
            .with("padding", vec![1i64])
            .with("dilation", vec![2i64]);
        assert_eq!(
            type_of("conv1d", &types, attrs.clone()).to_string(),
            "f32[n, 6, 4]"
        );
        decomposed("conv1d", &types, attrs);
        decomposed("conv1d", &[f32s("n,2,l"), f32s("6,2,3")], Attrs::new());
        let images = [f32s("n,4,9,9"), f32s("6,4,3")];
        assert!(error_of("conv1d", &images, Attrs::new()).contains("3 dims"));
    }

    #[test]
    fn the_work_is_two_for_each_element_of_a_window() {
        check("conv1d").flops("f32[2, 3, 8], f32[4, 3, 3], f32[4] {padding=[1]}", 1152);
    }
}
