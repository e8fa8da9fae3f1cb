//! Places as vectors.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, BuildError, DType, Dim, Expand, Infer, Op, Operand, Shape,
    TensorType, TypeError, Types, Value, Values, normalize_axis,
};

use super::count;
use crate::emit::Emit;
use crate::expect::{integers, scalars};

/// The op `one_hot`.
pub(super) struct OneHot;

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn doc(&self) -> &'static str {
        "For each place of an integer index a vector along a new axis, `on` at that place and \
         `off` elsewhere: index [a..., b...] and scalars on and off give [a..., depth, b...]. A \
         negative place counts from the end; one that is not there gives `off` alone (ONNX \
         `OneHot`, ATen `one_hot`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("index"),
                Operand::one("on"),
                Operand::one("off"),
            ]
        }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required("depth", AttrKind::Int, "How long a vector is."),
            AttrSpec::required(
                "axis",
                AttrKind::Int,
                "Which axis of the result vectors lie along; from the end where negative.",
            ),
        ];
        SPECS
    }

    fn example(&self) -> Option<&'static str> {
        Some("i64[4], f32[], f32[] {depth=3, axis=-1}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 0)?;
        scalars(cx, [1, 2])?;
        let dtype = cx.same_dtype(1..3)?;
        cx.int("depth")?;
        let depth = count(cx, "depth", 0)?;
        let mut shape = cx.dims(0)?.map(Shape::from);
        if let Some(dims) = &mut shape {
            let axis = cx.axis("axis", dims.len() + 1)?;
            dims.insert(axis, Dim::Known(depth));
        }
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(parts(cx).map(|value| smallvec![value]))
    }
}

fn parts(cx: &mut Expand<'_>) -> Result<Value, BuildError> {
    let (index, on, off) = (cx.operands[0], cx.operands[1], cx.operands[2]);
    let b = &mut *cx.b;
    let mut dims = b.dims_of(index)?;
    let dtype = b.dtype_of(index)?;
    let depth = cx.attrs.int("depth").unwrap_or(0);
    let axis = cx.attrs.int("axis").unwrap_or(-1);
    let wrong = |e: TypeError| BuildError::Invalid {
        op: "one_hot".to_owned(),
        message: e.message,
    };
    let axis = normalize_axis(axis, dims.len() + 1).map_err(wrong)?;
    dims.insert(axis, Dim::Known(1));
    let after = dims.len() - axis - 1;
    // In 64 bits, so that neither a place nor the depth is cut off.
    let index = match dtype {
        DType::I64 => index,
        _ => {
            let to = Attrs::new().with("to", DType::I64);
            b.call_with("cast", &[index], to)?
        }
    };
    let index = b.reshape_to(index, &dims)?;
    let zero = b.constant(DType::I64, 0i64)?;
    let whole = b.constant(DType::I64, depth)?;
    let negative = b.call("lt", &[index, zero])?;
    let counted = b.add(index, whole)?;
    let place = b.select(negative, counted, index)?;
    let mut line: Shape = smallvec![Dim::from(depth.unsigned_abs())];
    line.extend((0..after).map(|_| Dim::Known(1)));
    let attrs = Attrs::new()
        .with("dims", &line[..])
        .with("dtype", DType::I64);
    let places = b.call_with("iota", &[], attrs)?;
    let hot = b.call("eq", &[place, places])?;
    b.select(hot, on, off)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, parts, results};

    fn of(depth: i64, axis: i64) -> Attrs {
        Attrs::new().with("depth", depth).with("axis", axis)
    }

    #[test]
    fn a_new_axis_comes_in() {
        let types = "i64[n, 4], f32[], f32[]";
        assert_eq!(results("one_hot", types, of(7, -1)), "f32[n, 4, 7]");
        assert_eq!(results("one_hot", types, of(7, 0)), "f32[7, n, 4]");
        assert_eq!(results("one_hot", "?[*], ?[], u8[]", of(7, 3)), "u8[*]");
        assert!(error("one_hot", types, of(-1, 0)).contains("must not be negative"));
        assert!(error("one_hot", types, of(7, 3)).contains("outside a rank of 3"));
        assert!(error("one_hot", types, of(7, -4)).contains("outside a rank of 3"));
        assert!(error("one_hot", "f32[4], f32[], f32[]", of(2, 0)).contains("an integer"));
        assert!(error("one_hot", "i64[4], f32[1], f32[]", of(2, 0)).contains("0 dims"));
        assert!(error("one_hot", "i64[4], f32[], u8[]", of(2, 0)).contains("u8"));
    }

    #[test]
    fn its_parts_have_its_type() {
        for axis in [-1, 0, 1] {
            assert!(parts("one_hot", "i64[n, 4], f32[], f32[]", of(7, axis)).contains(&"where"));
        }
        assert!(parts("one_hot", "u8[], bool[], bool[]", of(0, 0)).contains(&"cast"));
    }
}
