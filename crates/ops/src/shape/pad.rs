//! A border of one value.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, Dim, Gradient, GradientError, Infer, Op, Operand, TensorType,
    TypeError, Types,
};

use crate::emit::Emit;
use crate::infer::Takes;

/// The op `pad`.
pub(super) struct Pad;

fn amounts<'a>(cx: &Infer<'a>, name: &str) -> Result<&'a [i64], TypeError> {
    let amounts = cx.ints(name)?;
    match amounts.iter().find(|a| **a < 0) {
        Some(negative) => Err(TypeError::new(format!(
            "`{name}` must not be negative, but holds {negative}"
        ))),
        None => Ok(amounts),
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn doc(&self) -> &'static str {
        "The operand with a border that holds one value, `low[i]` elements wide before dim i and \
         `high[i]` after it (ONNX `Pad`, ATen `constant_pad_nd`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("value")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required(
                "low",
                AttrKind::Ints,
                "Elements before each dim, at least 0.",
            ),
            AttrSpec::required(
                "high",
                AttrKind::Ints,
                "Elements after each dim, at least 0.",
            ),
        ];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::All.one_dtype(cx, 0..2)?;
        cx.rank(1, 0)?;
        let (low, high) = (amounts(cx, "low")?, amounts(cx, "high")?);
        if low.len() != high.len() {
            let (low, high) = (low.len(), high.len());
            let message = format!("`low` holds {low} widths, `high` {high}");
            return Err(TypeError::new(message));
        }
        let Some(dims) = cx.rank(0, low.len())? else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        let padded = dims.iter().zip(low).zip(high).map(|((dim, low), high)| {
            let low = Dim::Known(low.unsigned_abs());
            dim.plus(&low)?.plus(&Dim::Known(high.unsigned_abs()))
        });
        let shape: Option<_> = padded.collect();
        match shape {
            Some(shape) => Ok(smallvec![TensorType {
                dtype,
                shape: Some(shape)
            }]),
            None => Err(TypeError::new("the padded dims are too large")),
        }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[] {low=[0, 1], high=[0, 2]}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        if cx.wants(0) {
            let low = cx.attrs.ints("low").unwrap_or_default();
            let high = cx.attrs.ints("high").unwrap_or_default();
            let mut dx = dy;
            for (axis, (low, high)) in low.iter().zip(high).enumerate() {
                if *low == 0 && *high == 0 {
                    continue;
                }
                let mut attrs = Attrs::new().with("axis", axis as i64).with("start", *low);
                if *high > 0 {
                    attrs.set("end", -*high);
                }
                dx = cx.b.call_with("slice", &[dx], attrs)?;
            }
            cx.give(0, dx);
        }
        if cx.wants(1) {
            // The border is where padding zeros with ones leaves ones.
            let zero = cx.b.number_like(dy, 0.0)?;
            let one = cx.b.number_like(dy, 1.0)?;
            let inside = cx.b.expand_like(zero, cx.operands[0])?;
            let border = cx.b.call_with("pad", &[inside, one], cx.attrs.clone())?;
            let outside = cx.b.mul(dy, border)?;
            let gradient = cx.b.sum_to_like(outside, cx.operands[1])?;
            cx.give(1, gradient);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn widths_are_added_to_every_dim() {
        let by = |low: &[i64], high: &[i64]| Attrs::new().with("low", low).with("high", high);
        let x = TensorType::new(DType::F32, dims("n,4"));
        let value = TensorType::scalar(DType::F32);
        let both = [x.clone(), value];
        assert_eq!(
            type_of("pad", &both, by(&[0, 1], &[2, 3])).to_string(),
            "f32[n + 2, 8]"
        );
        assert!(error_of("pad", &both, by(&[0, -1], &[0, 0])).contains("not be negative"));
        assert!(error_of("pad", &both, by(&[0], &[0])).contains("must have 1 dims"));
        assert!(error_of("pad", &both, by(&[0, 0], &[0])).contains("`low` holds 2"));
        let double = [x.clone(), TensorType::scalar(DType::F64)];
        assert!(error_of("pad", &double, by(&[0, 0], &[0, 0])).contains("f64"));
        assert!(error_of("pad", &[x.clone(), x], by(&[0, 0], &[0, 0])).contains("0 dims"));
    }

    #[test]
    fn gradients_have_the_types_of_their_operands() {
        check("pad")
            .differentiates("f32[n, 4, 3], f32[] {low=[1, 0, 2], high=[0, 0, 1]}")
            .flops("f32[2, 3], f32[] {low=[0, 1], high=[0, 2]}", 0);
    }
}
