//! The op `uniform`.

use syncarp_ir::{AttrSpec, Infer, Op, Operand, TypeError, Types};

use super::{DRAWN, drawn};

/// The op `uniform`.
pub(super) struct Uniform;

impl Op for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn doc(&self) -> &'static str {
        "Numbers drawn from [0, 1) with equal chances, 24 random bits each: as many as `dims` \
         says, from the words of the stream at an integer scalar step (ONNX `RandomUniform`, \
         ATen `rand`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("step")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        DRAWN
    }

    fn example(&self) -> Option<&'static str> {
        Some(r#"i64[] {stream=stream(_, "draw", 0), dtype=f32, dims=dims[2, 3]}"#)
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        drawn(cx)
    }

    fn is_constant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, StreamKey};

    use crate::case::{error, results};
    use crate::testing::dims;

    #[test]
    fn the_type_is_as_asked() {
        let of = |dtype: DType| {
            let stream = StreamKey::unbound("noise", 0);
            let attrs = Attrs::new().with("stream", stream).with("dtype", dtype);
            attrs.with("dims", dims("n,4"))
        };
        assert_eq!(results("uniform", "i64[]", of(DType::F32)), "f32[n, 4]");
        assert_eq!(results("uniform", "?[*]", of(DType::F64)), "f64[n, 4]");
        assert!(error("uniform", "i64[]", of(DType::I64)).contains("must be a float"));
        assert!(error("uniform", "i64[2]", of(DType::F32)).contains("0 dims"));
        assert!(error("uniform", "f32[]", of(DType::F32)).contains("an integer"));
        assert!(error("uniform", "i64[]", Attrs::new()).contains("is missing"));
    }
}
