//! Tensors one after the other.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, BuildError, Dim, Gradient, GradientError, Infer, Op, Operand, Shape,
    TensorType, TypeError, Types, normalize_axis,
};

use crate::emit::Emit;
use crate::infer::Takes;

/// The op `concat`.
pub(super) struct Concat;

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn doc(&self) -> &'static str {
        "The operands one after the other along an axis; their other dims are equal (ONNX \
         `Concat`, ATen `cat`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("first"), Operand::variadic("others")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "axis",
            AttrKind::Int,
            "The axis; from the end where negative.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let count = cx.operands.len();
        let dtype = Takes::All.one_dtype(cx, 0..count)?;
        let mut all: Option<(usize, Shape)> = None;
        let mut bound = true;
        for index in 0..count {
            let Some(dims) = cx.dims(index)? else {
                bound = false;
                continue;
            };
            let axis = cx.axis("axis", dims.len())?;
            let Some((first, sum)) = &mut all else {
                all = Some((axis, dims.into()));
                continue;
            };
            let fits = axis == *first
                && dims.len() == sum.len()
                && (0..dims.len()).all(|d| d == axis || dims[d] == sum[d]);
            if !fits {
                return Err(TypeError::new(format!(
                    "operand {index} has dims {dims:?}, which may differ from {:?} in axis {axis} \
                     alone",
                    &sum[..]
                )));
            }
            let longer = sum[axis].plus(&dims[axis]);
            sum[axis] =
                longer.ok_or_else(|| TypeError::new("the axis of the result is too long"))?;
        }
        let shape = all.filter(|_| bound).map(|(_, sum)| sum);
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[2, 4] {axis=1}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        let whole = cx.b.dims_of(cx.results[0])?;
        let axis = cx.attrs.int("axis").unwrap_or(0);
        let axis = normalize_axis(axis, whole.len()).unwrap_or(0);
        // Where sizes are symbolic, a part is counted from the end if what follows it is a number.
        let mut before = Dim::Known(0);
        for index in 0..cx.operands.len() {
            let size = cx.b.dims_of(cx.operands[index])?[axis].clone();
            let end = before.plus(&size).ok_or_else(unplaced)?;
            if cx.wants(index) && size == Dim::Known(0) {
                // Nothing is there to be cut, and its place may be none that a slice can name.
                let zero = cx.b.number_like(dy, 0.0)?;
                let nothing = cx.b.expand_like(zero, cx.operands[index])?;
                cx.give(index, nothing);
            } else if cx.wants(index) {
                let start = place(&before, &whole[axis])?.unwrap_or(0);
                let mut attrs = Attrs::new().with("axis", axis as i64).with("start", start);
                if end != whole[axis] {
                    attrs.set("end", place(&end, &whole[axis])?.unwrap_or(0));
                }
                let part = cx.b.call_with("slice", &[dy], attrs)?;
                cx.give(index, part);
            }
            before = end;
        }
        Ok(())
    }
}

/// A position on an axis as a number, from the end where only that is one.
fn place(at: &Dim, whole: &Dim) -> Result<Option<i64>, BuildError> {
    if let Some(number) = at.known() {
        return Ok(i64::try_from(number).ok());
    }
    let rest = whole.minus(at).and_then(|d| d.known());
    let rest = rest
        .and_then(|r| i64::try_from(r).ok())
        .ok_or_else(unplaced)?;
    Ok(Some(-rest))
}

fn unplaced() -> BuildError {
    BuildError::Invalid {
        op: "concat".to_owned(),
        message: "the places of the parts must be numbers here; bind the graph's inputs first"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn sizes_along_the_axis_add_up() {
        let along = |axis: i64| Attrs::new().with("axis", axis);
        let a = TensorType::new(DType::F32, dims("n,4"));
        let b = TensorType::new(DType::F32, dims("n,3"));
        let pair = [a.clone(), b.clone()];
        assert_eq!(type_of("concat", &pair, along(-1)).to_string(), "f32[n, 7]");
        let twice = [a.clone(), a.clone()];
        assert_eq!(
            type_of("concat", &twice, along(0)).to_string(),
            "f32[2*n, 4]"
        );
        assert!(error_of("concat", &pair, along(0)).contains("may differ"));
        assert!(error_of("concat", &pair, along(2)).contains("axis 2 is outside"));
        assert!(error_of("concat", &[], along(0)).contains("expected operands"));
        let open = type_of("concat", &[a, TensorType::unknown()], along(0));
        assert_eq!(open.to_string(), "f32[*]");
    }

    #[test]
    fn gradients_have_the_types_of_their_operands() {
        check("concat")
            .differentiates("f32[n, 4, 3], f32[n, 4, 2], f32[n, 4, 3] {axis=-1}")
            .differentiates("f32[n, 4], f32[2, 4], f32[0, 4] {axis=0}")
            .differentiates("f32[2, 4], f32[n, 4], f32[3, 4] {axis=0}")
            .flops("f32[2, 3], f32[2, 4] {axis=1}", 0);
    }
}
