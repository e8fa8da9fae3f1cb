//! The op `bernoulli`.

use smallvec::smallvec;
use syncarp_ir::{AttrKind, AttrSpec, Infer, Op, Operand, TypeError, Types};

use super::STREAM;
use crate::expect::{integers, scalars, typed};

/// The op `bernoulli`.
pub(super) struct Bernoulli;

impl Op for Bernoulli {
    fn name(&self) -> &'static str {
        "bernoulli"
    }

    fn doc(&self) -> &'static str {
        "1 with the probability that p says there, else 0: p of any shape, integer scalar step. \
         An element is 1 where the number in [0, 1) of its word of the stream at that step is \
         below p; where p is NaN it is 0 (ONNX `Bernoulli`, ATen `bernoulli`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("p"), Operand::one("step")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const DTYPE: AttrSpec =
            AttrSpec::required("dtype", AttrKind::DType, "The element type of the result.");
        const { &[STREAM, DTYPE] }
    }

    fn example(&self) -> Option<&'static str> {
        Some(r#"f32[2, 3], i64[] {stream=stream(_, "draw", 0), dtype=f32}"#)
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        cx.float(0)?;
        integers(cx, 1)?;
        scalars(cx, [1])?;
        Ok(smallvec![typed(cx.attrs.dtype("dtype"), cx.dims(0)?)])
    }

    fn is_constant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, StreamKey};

    use crate::case::{error, results};

    #[test]
    fn the_shape_is_that_of_p() {
        let of = |dtype: DType| {
            let stream = StreamKey::unbound("coin", 0);
            Attrs::new().with("stream", stream).with("dtype", dtype)
        };
        let got = results("bernoulli", "f32[n, 4], i64[]", of(DType::Bool));
        assert_eq!(got, "bool[n, 4]");
        assert_eq!(results("bernoulli", "?[*], ?[*]", of(DType::U8)), "u8[*]");
        let wrong = |types| error("bernoulli", types, of(DType::F32));
        assert!(wrong("i64[4], i64[]").contains("must be a float"));
        assert!(wrong("f32[4], f32[]").contains("an integer"));
        assert!(wrong("f32[4], i64[4]").contains("0 dims"));
    }
}
