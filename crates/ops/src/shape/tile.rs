//! A tensor laid out again and again.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, BuildError, Dim, Expand, Infer, Op, Operand, Shape, TensorType,
    TypeError, Types, Value, Values,
};

use crate::emit::Emit;

/// How many axes are repeated in one copy: an engine need not walk over more than twice as many.
const AT_ONCE: usize = 4;

/// The op `tile`.
pub(super) struct Tile;

/// How often each dim is repeated.
fn repeats(cx: &Infer<'_>) -> Result<Vec<u64>, TypeError> {
    let list = cx.ints("repeats")?;
    let negative = |r: &i64| TypeError::new(format!("`repeats` has {r}, which is negative"));
    list.iter()
        .map(|r| u64::try_from(*r).map_err(|_| negative(r)))
        .collect()
}

impl Op for Tile {
    fn name(&self) -> &'static str {
        "tile"
    }

    fn doc(&self) -> &'static str {
        "x laid out as often along each axis as `repeats` says: x [s1, ..., sr] gives [s1 * \
         repeats[0], ..., sr * repeats[r - 1]] (ONNX `Tile`, ATen `repeat`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::required(
                "repeats",
                AttrKind::Ints,
                "How often x is laid out along each of its axes.",
            )]
        }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {repeats=[2, 1]}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let repeats = repeats(cx)?;
        let Some(dims) = cx.rank(0, repeats.len())? else {
            return Ok(smallvec![cx.operand(0)?.clone()]);
        };
        let times = |(dim, count): (&Dim, &u64)| {
            dim.times(&Dim::Known(*count))
                .ok_or_else(|| TypeError::new(format!("{dim} times {count} is too large a dim")))
        };
        let shape = dims
            .iter()
            .zip(&repeats)
            .map(times)
            .collect::<Result<_, _>>()?;
        Ok(smallvec![TensorType {
            dtype: cx.operand(0)?.dtype,
            shape: Some(shape)
        }])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(parts(cx).map(|value| smallvec![value]))
    }
}

/// With a new axis before each repeated one, repeating is expanding the new ones.
fn parts(cx: &mut Expand<'_>) -> Result<Value, BuildError> {
    let whole = cx.types.first().and_then(TensorType::dims);
    let whole: Shape = whole.map(Shape::from).unwrap_or_default();
    let repeats = cx.attrs.ints("repeats").unwrap_or_default();
    let mut x = cx.operands[0];
    let repeated: Vec<usize> = (0..repeats.len()).filter(|d| repeats[*d] != 1).collect();
    for axes in repeated.chunks(AT_ONCE) {
        let dims = cx.b.dims_of(x)?;
        let (mut apart, mut expanded, mut joined) = (Shape::new(), Shape::new(), Shape::new());
        for (axis, dim) in dims.iter().enumerate() {
            joined.push(dim.clone());
            if axes.contains(&axis) {
                apart.push(Dim::Known(1));
                expanded.push(Dim::Known(repeats[axis].unsigned_abs()));
                joined[axis] = whole[axis].clone();
            }
            apart.push(dim.clone());
            expanded.push(dim.clone());
        }
        let alone = cx.b.reshape_to(x, &apart)?;
        let attrs = Attrs::new().with("dims", &expanded[..]);
        let copies = cx.b.call_with("expand", &[alone], attrs)?;
        x = cx.b.reshape_to(copies, &joined)?;
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, parts, results};

    fn by(repeats: &[i64]) -> Attrs {
        Attrs::new().with("repeats", repeats)
    }

    #[test]
    fn dims_are_multiplied() {
        assert_eq!(results("tile", "f32[n, 4]", by(&[2, 3])), "f32[2*n, 12]");
        assert_eq!(results("tile", "bool[n, 4]", by(&[1, 0])), "bool[n, 0]");
        assert_eq!(results("tile", "?[*]", by(&[2])), "?[*]");
        assert!(error("tile", "f32[n, 4]", by(&[2])).contains("must have 1 dims"));
        assert!(error("tile", "f32[n, 4]", by(&[2, -1])).contains("negative"));
        assert!(error("tile", "f32[4]", by(&[i64::MAX])).contains("too large"));
    }

    #[test]
    fn its_parts_have_its_type() {
        let names = parts("tile", "f32[n, 4]", by(&[2, 3]));
        assert_eq!(names, ["reshape", "expand", "reshape"]);
        assert_eq!(parts("tile", "f32[n, 4]", by(&[1, 1])), [""; 0]);
        let names = parts("tile", "f32[n, 1, 2, 3, 4, 5]", by(&[2; 6]));
        assert_eq!(names.iter().filter(|n| **n == "expand").count(), 2);
        parts("tile", "f32[n, 4]", by(&[0, 3]));
    }
}
