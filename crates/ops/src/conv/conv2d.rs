//! The op `conv2d` and its gradients.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, BuildError, Dim, Gradient, GradientError, Infer, Op, Operand, Shape,
    TensorType, TypeError, Types,
};

use super::window::{
    DILATION, DIMS, GROUPS, PADDING, STRIDE, Steps, agree, agree_all, conv_size, groups,
    image_dims, ints, list,
};
use crate::emit::Emit;
use crate::expect::floats;

/// The dims of a convolution's result from those of its operands.
pub(super) fn conv_shape<const N: usize>(
    cx: &Infer<'_>,
    x: &[Dim],
    weight: &[Dim],
) -> Result<Shape, TypeError> {
    let steps = Steps::<N>::read(cx.attrs, [1; N])?;
    let mut shape = Shape::from_iter([x[0].clone(), weight[0].clone()]);
    for axis in 0..N {
        shape.push(conv_size(&x[axis + 2], &weight[axis + 2], &steps, axis)?);
    }
    channels(&x[1], &weight[0], &weight[1], groups(cx.attrs)?)?;
    Ok(shape)
}

/// Demands that channels fit the groups.
fn channels(x: &Dim, out: &Dim, into: &Dim, groups: u64) -> Result<(), TypeError> {
    if out.known().is_some_and(|o| o % groups != 0) {
        let message = format!("{out} outgoing channels do not divide into {groups} groups");
        return Err(TypeError::new(message));
    }
    let want = into.times(&Dim::Known(groups));
    let want = want.ok_or_else(|| TypeError::new("there are too many channels"))?;
    agree("the channels of `x`", x, &want)
}

/// The type of a convolution of rank `N + 2`.
pub(super) fn infer_conv<const N: usize>(cx: &Infer<'_>) -> Result<Types, TypeError> {
    let dtype = floats(cx, &[0, 1, 2])?;
    let (x, weight) = (cx.rank(0, N + 2)?, cx.rank(1, N + 2)?);
    if cx.operands.len() > 2
        && let (Some([bias]), Some([out, ..])) = (cx.rank(2, 1)?, weight)
    {
        agree("the length of the bias", bias, out)?;
    }
    let shape = match (x, weight) {
        (Some(x), Some(weight)) => Some(conv_shape::<N>(cx, x, weight)?),
        _ => None,
    };
    Ok(smallvec![TensorType { dtype, shape }])
}

/// Two operations for each element of the result and each of the window.
pub(super) fn conv_flops(weight: &TensorType, y: &TensorType) -> Option<u64> {
    let window = weight.numbers()?[1..]
        .iter()
        .try_fold(2u64, |n, d| n.checked_mul(*d as u64))?;
    y.elements()?.checked_mul(window)
}

pub(super) const OPERANDS: &[Operand] = &[
    Operand::one("x"),
    Operand::one("weight"),
    Operand::optional("bias"),
];

/// The op `conv2d`.
pub(super) struct Conv2d;

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn doc(&self) -> &'static str {
        "A convolution (cross-correlation) over images. x [n, c, h, w], weight [o, c / groups, kh, \
         kw] and bias [o] give [n, o, oh, ow], where oh is (h + 2 padding - dilation (kh - 1) - 1) \
         // stride + 1 and ow likewise (ONNX `Conv`, ATen `conv2d`)."
    }

    fn operands(&self) -> &'static [Operand] {
        OPERANDS
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[STRIDE, PADDING, DILATION, GROUPS] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        infer_conv::<2>(cx)
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 8, 8], f32[4, 3, 3, 3], f32[4] {padding=[1, 1]}")
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        conv_flops(cx.operands.get(1)?, &results[0])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        let (x, weight) = (cx.operands[0], cx.operands[1]);
        let invalid = |e: TypeError| BuildError::Invalid {
            op: "conv2d".to_owned(),
            message: e.message,
        };
        let steps = Steps::<2>::read(cx.attrs, [1; 2]).map_err(invalid)?;
        let groups = groups(cx.attrs).map_err(invalid)?;
        let attrs = steps.attrs().with("groups", groups as i64);
        if cx.wants(0) {
            let dims = cx.b.dims_of(x)?;
            let attrs = attrs.clone().with("dims", &dims[..]);
            let dx = cx.b.call_with("conv2d_grad_input", &[dy, weight], attrs)?;
            cx.give(0, dx);
        }
        if cx.wants(1) {
            let dims = cx.b.dims_of(weight)?;
            let (Some(height), Some(width)) = (dims[2].known(), dims[3].known()) else {
                let message = format!("the window {dims:?} must be known here");
                return Err(invalid(TypeError::new(message)).into());
            };
            let attrs = attrs.with("kernel", ints(&[height, width]));
            let dweight = cx.b.call_with("conv2d_grad_weight", &[x, dy], attrs)?;
            cx.give(1, dweight);
        }
        if cx.wants(2) {
            let dbias = cx.b.sum(dy, &[0, 2, 3], false)?;
            cx.give(2, dbias);
        }
        Ok(())
    }
}

/// The op `conv2d_grad_input`.
pub(super) struct Conv2dGradInput;

impl Op for Conv2dGradInput {
    fn name(&self) -> &'static str {
        "conv2d_grad_input"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `conv2d` to its images. dy [n, o, oh, ow] and weight [o, c / groups, kh, \
         kw] give [n, c, h, w], which is what `dims` says (ATen `convolution_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy"), Operand::one("weight")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[STRIDE, PADDING, DILATION, GROUPS, DIMS] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1])?;
        let dims = image_dims(cx)?;
        let (dy, weight) = (cx.rank(0, 4)?, cx.rank(1, 4)?);
        if let Some(weight) = weight {
            let y = conv_shape::<2>(cx, dims, weight)?;
            agree_all("`dy`", dy.unwrap_or_default(), &y)?;
        }
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 4, 8, 8], f32[4, 3, 3, 3] {padding=[1, 1], dims=dims[2, 3, 8, 8]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        conv_flops(cx.operands.get(1)?, cx.operands[0])
    }
}

/// The op `conv2d_grad_weight`.
pub(super) struct Conv2dGradWeight;

impl Op for Conv2dGradWeight {
    fn name(&self) -> &'static str {
        "conv2d_grad_weight"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `conv2d` to its weight. x [n, c, h, w] and dy [n, o, oh, ow] give [o, c / \
         groups, kh, kw], where (kh, kw) is what `kernel` says (ATen `convolution_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("dy")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const KERNEL: AttrSpec =
            AttrSpec::required("kernel", AttrKind::Ints, "The weight's last two dims.");
        const { &[STRIDE, PADDING, DILATION, GROUPS, KERNEL] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1])?;
        let kernel = list::<2>(cx.attrs, "kernel", None, 1)?.map(Dim::Known);
        let groups = groups(cx.attrs)?;
        let (Some(x), Some(dy)) = (cx.rank(0, 4)?, cx.rank(1, 4)?) else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        if x[1].known().is_some_and(|c| c % groups != 0) {
            let message = format!(
                "{} incoming channels do not divide into {groups} groups",
                x[1]
            );
            return Err(TypeError::new(message));
        }
        let into = x[1].floor_div(&Dim::Known(groups));
        let into = into.ok_or_else(|| TypeError::new("there are too many channels"))?;
        let [height, width] = kernel;
        let weight = Shape::from_iter([dy[1].clone(), into, height, width]);
        agree_all("`dy`", dy, &conv_shape::<2>(cx, x, &weight)?)?;
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(weight)
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 8, 8], f32[2, 4, 8, 8] {padding=[1, 1], kernel=[3, 3]}")
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        conv_flops(&results[0], cx.operands.get(1)?)
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use super::super::testing::gradients;
    use crate::testing::{check, dims, error_of, type_of};

    fn f32s(text: &str) -> TensorType {
        TensorType::new(DType::F32, dims(text))
    }

    fn steps(stride: [i64; 2], padding: [i64; 2], dilation: [i64; 2]) -> Attrs {
        Attrs::new()
            .with("stride", stride.to_vec())
            .with("padding", padding.to_vec())
            .with("dilation", dilation.to_vec())
    }

    #[test]
    fn the_result_has_a_pixel_for_every_window() {
        let types = [f32s("n,3,8,9"), f32s("16,3,3,5"), f32s("16")];
        let shape = |attrs| type_of("conv2d", &types, attrs).to_string();
        assert_eq!(shape(Attrs::new()), "f32[n, 16, 6, 5]");
        assert_eq!(shape(steps([2, 3], [1, 0], [1, 2])), "f32[n, 16, 4, 1]");
        let sized = [f32s("n,3,h,8"), f32s("16,3,3,3")];
        let attrs = steps([2, 1], [1, 1], [1, 1]);
        let text = type_of("conv2d", &sized, attrs).to_string();
        assert_eq!(text, "f32[n, 16, ((h - 1) // (2)) + 1, 8]");
        let unknown = [TensorType::unknown(), types[1].clone()];
        assert_eq!(
            type_of("conv2d", &unknown, Attrs::new()).to_string(),
            "f32[*]"
        );
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let (x, w) = (f32s("n,4,8,8"), f32s("6,2,3,3"));
        let wrong = |types: &[TensorType], attrs| error_of("conv2d", types, attrs);
        let pair = [x.clone(), w.clone()];
        let two = Attrs::new().with("groups", 2);
        assert_eq!(
            type_of("conv2d", &pair, two.clone()).to_string(),
            "f32[n, 6, 6, 6]"
        );
        assert!(wrong(&pair, Attrs::new()).contains("must be 2, not 4"));
        assert!(wrong(&pair, Attrs::new().with("groups", 4)).contains("6 outgoing"));
        assert!(wrong(&pair, Attrs::new().with("groups", 0)).contains("positive"));
        let bias = [x.clone(), w.clone(), f32s("5")];
        assert!(wrong(&bias, two.clone()).contains("bias must be 6"));
        let zero = two.clone().with("stride", vec![0i64, 1]);
        assert!(wrong(&pair, zero).contains("at least 1"));
        let one = two.clone().with("stride", vec![1i64]);
        assert!(wrong(&pair, one).contains("2 numbers"));
        let far = two.with("dilation", vec![4i64, 1]);
        assert!(wrong(&pair, far).contains("does not fit"));
        let other = TensorType::new(DType::F64, dims("6,2,3,3"));
        assert!(wrong(&[x.clone(), other], Attrs::new()).contains("f64"));
        assert!(wrong(&[x, f32s("6,2,3")], Attrs::new()).contains("4 dims"));
    }

    #[test]
    fn gradients_have_the_types_of_the_operands() {
        let types = [f32s("n,4,8,7"), f32s("6,2,3,2"), f32s("6")];
        let attrs = steps([2, 1], [1, 0], [1, 2]).with("groups", 2);
        assert_eq!(gradients("conv2d", &types, attrs.clone()), types.map(Some));
        let grad = attrs.with("dims", dims("n,4,8,7"));
        let dy = [f32s("n,6,3,5"), f32s("6,2,3,2")];
        let text = error_of("conv2d_grad_input", &dy, grad);
        assert!(text.contains("dim 2 of `dy` must be 4, not 3"), "{text}");
    }

    #[test]
    fn the_work_is_two_for_each_element_of_a_window() {
        check("conv2d")
            .differentiates("f32[2, 3, 8, 8], f32[4, 3, 3, 3], f32[4] {padding=[1, 1]}")
            .flops(
                "f32[2, 3, 8, 8], f32[4, 3, 3, 3], f32[4] {padding=[1, 1]}",
                27648,
            );
        check("conv2d_grad_input")
            .gives(
                "f32[2, 4, 8, 8], f32[4, 3, 3, 3] {padding=[1, 1], dims=dims[2, 3, 8, 8]}",
                "f32[2, 3, 8, 8]",
            )
            .flops(
                "f32[2, 4, 8, 8], f32[4, 3, 3, 3] {padding=[1, 1], dims=dims[2, 3, 8, 8]}",
                27648,
            );
        check("conv2d_grad_weight")
            .gives(
                "f32[2, 3, 8, 8], f32[2, 4, 8, 8] {padding=[1, 1], kernel=[3, 3]}",
                "f32[4, 3, 3, 3]",
            )
            .flops(
                "f32[2, 3, 8, 8], f32[2, 4, 8, 8] {padding=[1, 1], kernel=[3, 3]}",
                27648,
            );
    }
}
