//! The beginnings of sequences turned round.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
};

use crate::emit::Emit;
use crate::expect::{equal, integers};

/// The op `reverse_sequence`.
pub(super) struct ReverseSequence;

impl Op for ReverseSequence {
    fn name(&self) -> &'static str {
        "reverse_sequence"
    }

    fn doc(&self) -> &'static str {
        "x with the first `lengths[i]` steps of its i-th sequence turned round, the others left \
         where they are: x has t steps on `time_axis` and n sequences on `batch_axis`, integer \
         lengths [n] from 0 to t; what lies outside counts as the nearer of these (ONNX \
         `ReverseSequence`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("lengths")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required(
                "time_axis",
                AttrKind::Int,
                "The axis of steps; from the end where negative.",
            ),
            AttrSpec::required(
                "batch_axis",
                AttrKind::Int,
                "The axis of sequences; from the end where negative.",
            ),
        ];
        SPECS
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[4, 2, 3], i64[2] {time_axis=0, batch_axis=1}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 1)?;
        let lengths = cx.rank(1, 1)?;
        if let Some(dims) = cx.dims(0)? {
            let time = cx.axis("time_axis", dims.len())?;
            let batch = cx.axis("batch_axis", dims.len())?;
            if time == batch {
                return Err(TypeError::new(format!(
                    "`time_axis` and `batch_axis` must differ, but both are {time}"
                )));
            }
            if let Some([count]) = lengths {
                equal(
                    count,
                    &dims[batch],
                    "the number of lengths and of sequences",
                )?;
            }
        }
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let operands = [dy, cx.operands[1]];
            let dx =
                cx.b.call_with("reverse_sequence", &operands, cx.attrs.clone())?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    fn axes(time: i64, batch: i64) -> Attrs {
        Attrs::new()
            .with("time_axis", time)
            .with("batch_axis", batch)
    }

    #[test]
    fn the_type_stays() {
        let of = |types| results("reverse_sequence", types, axes(0, -2));
        assert_eq!(of("f32[t, n, 4], i64[n]"), "f32[t, n, 4]");
        assert_eq!(of("?[*], ?[*]"), "?[*]");
        let wrong = |types, attrs| error("reverse_sequence", types, attrs);
        assert!(wrong("f32[t, n], i64[m]", axes(0, 1)).contains("must be equal"));
        assert!(wrong("f32[t, n], i64[n]", axes(1, -1)).contains("must differ"));
        assert!(wrong("f32[t, n], f32[n]", axes(0, 1)).contains("an integer"));
        assert!(wrong("f32[t, n], i64[n, 1]", axes(0, 1)).contains("1 dims"));
        assert!(wrong("f32[t, n], i64[n]", axes(0, 2)).contains("outside a rank"));
        let got = gradients("reverse_sequence", "f32[t, n], i64[n]", axes(0, 1));
        assert_eq!(got, "f32[t, n], ?[*]");
    }
}
