//! Every so many-th element between two places of an axis, and the way back.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Dim, Gradient, GradientError, Infer, Op, Operand, Shape,
    TensorType, TypeError, Types,
};

use crate::emit::Emit;
use crate::infer::dims_attr;

const AXIS: AttrSpec = AttrSpec::required(
    "axis",
    AttrKind::Int,
    "The axis; from the end where negative.",
);
const START: AttrSpec = AttrSpec::required(
    "start",
    AttrKind::Int,
    "The first place; from the end of the axis where negative.",
);
const END: AttrSpec = AttrSpec::optional(
    "end",
    AttrKind::Int,
    "The place after the last, at most the axis' size; from its end where negative, its end where \
     left out.",
);
const STEP: AttrSpec = AttrSpec::optional(
    "step",
    AttrKind::Int,
    "The distance of places taken; 1 by default.",
)
.or(AttrDefault::Int(1));

/// The shape of a slice of `dims`.
fn sliced(cx: &Infer<'_>, dims: &[Dim]) -> Result<Shape, TypeError> {
    let axis = cx.axis("axis", dims.len())?;
    let size = &dims[axis];
    let outside = || {
        let (start, end) = (cx.attrs.int("start"), cx.attrs.int("end"));
        let (start, end) = (
            start.unwrap_or(0),
            end.map_or("the end".to_owned(), |e| e.to_string()),
        );
        TypeError::new(format!(
            "no places from {start} to {end} on an axis of {size}"
        ))
    };
    let place = |at: i64| match at {
        0.. => Some(Dim::Known(at.unsigned_abs())),
        _ => size.minus(&Dim::Known(at.unsigned_abs())),
    };
    let start = place(cx.int("start")?).ok_or_else(outside)?;
    let end = match cx.attrs.int("end") {
        Some(end) => place(end).ok_or_else(outside)?,
        None => size.clone(),
    };
    if let (Some(end), Some(size)) = (end.known(), size.known())
        && end > size
    {
        return Err(outside());
    }
    let mut count = end.minus(&start).ok_or_else(outside)?;
    let step = cx.attrs.int("step").unwrap_or(1);
    if step < 1 {
        return Err(TypeError::new(format!(
            "`step` must be at least 1, not {step}"
        )));
    }
    if step > 1 {
        let step = step.unsigned_abs();
        let rounded = |count: &Dim| {
            let up = count.plus(&Dim::Known(step - 1))?;
            up.floor_div(&Dim::Known(step))
        };
        count = match count.known() {
            Some(number) => Dim::Known(number.div_ceil(step)),
            None => rounded(&count).ok_or_else(outside)?,
        };
    }
    let mut shape: Shape = dims.into();
    shape[axis] = count;
    Ok(shape)
}

/// The op `slice`.
pub(super) struct Slice;

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn doc(&self) -> &'static str {
        "The elements at places start, start + step, ... before end of one axis (ONNX `Slice`, \
         ATen `slice.Tensor`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXIS, START, END, STEP] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.operand(0)?.dtype;
        let shape = cx.dims(0)?.map(|dims| sliced(cx, dims)).transpose()?;
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dims = cx.b.dims_of(cx.operands[0])?;
            let attrs = cx.attrs.clone().with("dims", &dims[..]);
            let dx = cx.b.call_with("slice_grad", &[dy], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `slice_grad`.
pub(super) struct SliceGrad;

impl Op for SliceGrad {
    fn name(&self) -> &'static str {
        "slice_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `slice`: zeros of `dims`, with dy at the places that the slice took (ATen \
         `slice_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const DIMS: AttrSpec =
            AttrSpec::required("dims", AttrKind::Dims, "The dims of what was sliced.");
        const { &[AXIS, START, END, STEP, DIMS] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dims = dims_attr(cx, "dims")?;
        let want = sliced(cx, dims)?;
        match cx.dims(0)? {
            Some(dy) if dy != &want[..] => {
                let message = format!("dy must have dims {:?}, not {dy:?}", &want[..]);
                Err(TypeError::new(message))
            }
            _ => {
                let dtype = cx.operand(0)?.dtype;
                Ok(smallvec![TensorType {
                    dtype,
                    shape: Some(dims.into())
                }])
            }
        }
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let mut attrs = syncarp_ir::Attrs::new();
            for (name, value) in cx.attrs.iter().filter(|(name, _)| *name != "dims") {
                attrs.set(name, value.clone());
            }
            let dx = cx.b.call_with("slice", &[dy], attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{dims, error_of, type_of};

    fn cut(axis: i64, start: i64, end: Option<i64>, step: i64) -> Attrs {
        let attrs = Attrs::new()
            .with("axis", axis)
            .with("start", start)
            .with("step", step);
        match end {
            Some(end) => attrs.with("end", end),
            None => attrs,
        }
    }

    #[test]
    fn places_count_from_both_ends() {
        let x = [TensorType::new(DType::F32, dims("n,7"))];
        let shape = |attrs| type_of("slice", &x, attrs).to_string();
        assert_eq!(shape(cut(1, 1, Some(6), 2)), "f32[n, 3]");
        assert_eq!(shape(cut(-1, -3, None, 1)), "f32[n, 3]");
        assert_eq!(shape(cut(0, 1, None, 1)), "f32[n - 1, 7]");
        assert_eq!(shape(cut(0, 0, Some(-1), 2)), "f32[((n) // (2)), 7]");
        assert_eq!(shape(cut(0, -2, None, 1)), "f32[2, 7]");
        assert_eq!(shape(cut(1, 3, Some(3), 1)), "f32[n, 0]");
        assert!(error_of("slice", &x, cut(1, 0, Some(8), 1)).contains("axis of 7"));
        assert!(error_of("slice", &x, cut(1, 5, Some(2), 1)).contains("no places from 5 to 2"));
        assert!(error_of("slice", &x, cut(1, -8, None, 1)).contains("axis of 7"));
        assert!(error_of("slice", &x, cut(1, 0, None, 0)).contains("at least 1"));
        assert!(error_of("slice", &x, cut(2, 0, None, 1)).contains("outside a rank"));
        assert!(error_of("slice", &x, cut(1, i64::MIN, None, 1)).contains("no places"));
        assert_eq!(shape(cut(1, 0, None, i64::MAX)), "f32[n, 1]");
    }

    #[test]
    fn the_gradient_fits_the_slice() {
        let attrs = cut(1, 1, Some(6), 2).with("dims", dims("n,7"));
        let right = [TensorType::new(DType::F32, dims("n,3"))];
        assert_eq!(
            type_of("slice_grad", &right, attrs.clone()).to_string(),
            "f32[n, 7]"
        );
        let wrong = [TensorType::new(DType::F32, dims("n,4"))];
        assert!(error_of("slice_grad", &wrong, attrs).contains("dy must have dims"));
    }
}
