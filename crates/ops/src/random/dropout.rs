//! The op `dropout`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, BuildError, Expand, Gradient, GradientError, Infer, Op, Operand,
    TensorType, TypeError, Types, Values,
};

use crate::emit::Emit;
use crate::expect::{floats, integers, scalars, typed, work};

/// The op `dropout`.
pub(super) struct Dropout;

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn doc(&self) -> &'static str {
        "x with each element dropped with probability p, and the mask, which is 0 where dropped and \
         1 / (1 - p) elsewhere: x of any shape, scalar p, integer scalar step. An element is kept \
         where the number in [0, 1) of its word of the stream at that step is not below p; p = 1 \
         drops all (ONNX `Dropout`, ATen `native_dropout`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("p"), Operand::one("step")] }
    }

    fn results(&self) -> &'static [&'static str] {
        &["y", "mask"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::required(
                "stream",
                AttrKind::Stream,
                "Where it draws from.",
            )]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1])?;
        integers(cx, 2)?;
        scalars(cx, [1, 2])?;
        let ty = typed(dtype, cx.dims(0)?);
        Ok(smallvec![ty.clone(), ty])
    }

    fn example(&self) -> Option<&'static str> {
        Some(r#"f32[2, 3], f32[], i64[] {stream=stream(_, "drop", 0)}"#)
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[2, results.first()?.elements()?])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        // The mask is piecewise constant in p and does not depend on x.
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.mul(dy, cx.results[1])?;
            cx.give(0, dx);
        }
        Ok(())
    }

    fn to_eval(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let x = cx.operands[0];
        let ty = cx.b.ty(x).clone();
        // In evaluation nothing is dropped. The mask only serves gradients, so that where x is not
        // typed yet, any value of its type will do.
        let (Some(dtype), Some(dims)) = (ty.dtype, ty.dims()) else {
            return Some(Ok(smallvec![x, x]));
        };
        let attrs = Attrs::new()
            .with("dtype", dtype)
            .with("value", 1.0)
            .with("dims", dims);
        Some(
            cx.b.emit1("constant", &[], attrs)
                .map(|mask| smallvec![x, mask]),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dims, error_of, gradients, inputs, type_of};
    use syncarp_ir::{DType, StreamKey};

    fn attrs() -> Attrs {
        Attrs::new().with("stream", StreamKey::unbound("drop", 0))
    }

    fn types(x: TensorType) -> [TensorType; 3] {
        [
            x,
            TensorType::scalar(DType::F32),
            TensorType::scalar(DType::I64),
        ]
    }

    #[test]
    fn the_type_stays() {
        let x = TensorType::new(DType::F32, dims("n,4"));
        assert_eq!(type_of("dropout", &types(x.clone()), attrs()), x);
        assert_eq!(gradients("dropout", &types(x.clone()), attrs())[0], x);
        assert!(error_of("dropout", &types(x.clone()), Attrs::new()).contains("stream"));
        let unknown = type_of("dropout", &types(TensorType::unknown()), attrs());
        assert_eq!(unknown.to_string(), "f32[*]");
        let mut wrong = types(x);
        wrong.swap(1, 2);
        assert!(error_of("dropout", &wrong, attrs()).contains("float"));
    }

    #[test]
    fn in_evaluation_x_goes_through() {
        for x in [
            TensorType::new(DType::F32, dims("n,4")),
            TensorType::unknown(),
        ] {
            let (mut b, operands) = inputs(&types(x.clone()));
            let attrs = attrs();
            let stated = [x.clone(), x.clone()];
            let mut cx = Expand {
                b: &mut b,
                attrs: &attrs,
                operands: &operands,
                types: &stated,
            };
            let results = Dropout.to_eval(&mut cx).unwrap().unwrap();
            assert_eq!(results[0], operands[0]);
            assert_eq!(*b.ty(results[1]), x);
        }
    }

    #[test]
    fn the_work_is_a_comparison_and_a_product() {
        check("dropout").flops(
            r#"f32[2, 3], f32[], i64[] {stream=stream(_, "drop", 0)}"#,
            12,
        );
    }
}
