//! The op `normal`.

use syncarp_ir::{AttrSpec, Infer, Op, Operand, TypeError, Types};

use super::{DRAWN, drawn};

/// The op `normal`.
pub(super) struct Normal;

impl Op for Normal {
    fn name(&self) -> &'static str {
        "normal"
    }

    fn doc(&self) -> &'static str {
        "Numbers drawn from the standard normal distribution, mean 0 and deviation 1: as many \
         as `dims` says, two words each of the stream at an integer scalar step (ONNX \
         `RandomNormal`, ATen `randn`)."
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
        assert_eq!(results("normal", "i64[]", of(DType::F32)), "f32[n, 4]");
        assert_eq!(results("normal", "?[*]", of(DType::F64)), "f64[n, 4]");
        assert!(error("normal", "i64[]", of(DType::I64)).contains("must be a float"));
        assert!(error("normal", "i64[2]", of(DType::F32)).contains("0 dims"));
        assert!(error("normal", "f32[]", of(DType::F32)).contains("an integer"));
        assert!(error("normal", "i64[]", Attrs::new()).contains("is missing"));
    }
}
