//! Reductions over axes, each an entry of one table: `sum`, `mean`, `reduce_max`, `reduce_min`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Attrs, BuildError, Dim, Gradient, GradientError, Infer, Op, OpRegistry, Operand,
    RegisterError, TensorType, TypeError, Types, Value,
};

use super::{AXES, KEEP, count, kept, reduced_dims, reduced_shape};
use crate::emit::Emit;
use crate::infer::Takes;

/// The gradient of x; the last value is the one that arrived, with reduced axes at size 1.
type Rule = fn(&mut Gradient<'_>, Value) -> Result<Value, BuildError>;

struct Fold {
    name: &'static str,
    doc: &'static str,
    takes: Takes,
    /// Whether an axis without elements can be reduced.
    empty: bool,
    rule: Rule,
}

const FOLDS: &[Fold] = &[
    Fold {
        name: "sum",
        doc: "The sum over axes (ONNX `ReduceSum`, ATen `sum.dim_IntList`).",
        takes: Takes::Numbers,
        empty: true,
        rule: |cx, dy| cx.b.expand_like(dy, cx.operands[0]),
    },
    Fold {
        name: "mean",
        doc: "The mean over axes; of nothing NaN (ONNX `ReduceMean`, ATen `mean.dim`).",
        takes: Takes::Floats,
        empty: true,
        rule: |cx, dy| {
            let count = count(cx.b, cx.operands[0], cx.attrs)?;
            let share = cx.b.div(dy, count)?;
            cx.b.expand_like(share, cx.operands[0])
        },
    },
    Fold {
        name: "reduce_max",
        doc: "The largest element over axes, NaN where there is one; equal ones share the gradient \
              (ONNX `ReduceMax`, ATen `amax`).",
        takes: Takes::Numbers,
        empty: false,
        rule: among_ties,
    },
    Fold {
        name: "reduce_min",
        doc: "The smallest element over axes, NaN where there is one; equal ones share the \
              gradient (ONNX `ReduceMin`, ATen `amin`).",
        takes: Takes::Numbers,
        empty: false,
        rule: among_ties,
    },
];

/// The gradient in equal parts to all elements that equal the result.
fn among_ties(cx: &mut Gradient<'_>, dy: Value) -> Result<Value, BuildError> {
    let x = cx.operands[0];
    let y = kept(cx.b, cx.results[0], x, cx.attrs)?;
    let equal = cx.b.call("eq", &[x, y])?;
    let dtype = cx.b.dtype_of(x)?;
    let mask =
        cx.b.call_with("cast", &[equal], Attrs::new().with("to", dtype))?;
    let ties =
        cx.b.call_with("sum", &[mask], cx.attrs.clone().with("keep", true))?;
    let share = cx.b.div(dy, ties)?;
    cx.b.mul(share, mask)
}

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    FOLDS.iter().try_for_each(|op| registry.register(op))
}

impl Op for &'static Fold {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES, KEEP] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = self.takes.one_dtype(cx, 0..1)?;
        let shape = reduced_shape(cx)?;
        if let (false, Some(dims)) = (self.empty, cx.dims(0)?) {
            let marks = reduced_dims(cx.attrs, dims.len())?;
            if dims
                .iter()
                .zip(marks)
                .any(|(d, reduced)| reduced && *d == Dim::Known(0))
            {
                let message = format!("a reduced axis must have elements; dims are {dims:?}");
                return Err(TypeError::new(message));
            }
        }
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dy = kept(cx.b, dy, cx.operands[0], cx.attrs)?;
            let dx = (self.rule)(cx, dy)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{dims, error_of, type_of};

    #[test]
    fn reduced_axes_go_or_stay_as_ones() {
        let x = [TensorType::new(DType::F32, dims("n,4,3"))];
        let over = |axes: &[i64], keep: bool| Attrs::new().with("axes", axes).with("keep", keep);
        let shape = |attrs| type_of("sum", &x, attrs).to_string();
        assert_eq!(shape(over(&[0, -1], false)), "f32[4]");
        assert_eq!(shape(over(&[0, -1], true)), "f32[1, 4, 1]");
        assert_eq!(shape(over(&[], false)), "f32[n, 4, 3]");
        assert_eq!(shape(Attrs::new()), "f32[]");
        assert!(error_of("sum", &x, over(&[3], false)).contains("outside a rank of 3"));
        assert!(error_of("mean", &x, over(&[1, -2], false)).contains("named twice"));
    }

    #[test]
    fn a_total_is_a_scalar_whatever_the_rank() {
        let open = [TensorType {
            dtype: Some(DType::F32),
            shape: None,
        }];
        assert_eq!(type_of("mean", &open, Attrs::new()).to_string(), "f32[]");
        let some = Attrs::new().with("axes", vec![0]);
        assert_eq!(type_of("mean", &open, some).to_string(), "f32[*]");
    }

    #[test]
    fn the_largest_of_nothing_is_refused() {
        let x = [TensorType::fixed(DType::F32, &[2, 0])];
        let over = |axis: i64| Attrs::new().with("axes", vec![axis]);
        assert!(error_of("reduce_max", &x, over(1)).contains("must have elements"));
        assert_eq!(type_of("reduce_max", &x, over(0)).to_string(), "f32[0]");
        assert_eq!(type_of("sum", &x, over(1)).to_string(), "f32[2]");
    }

    #[test]
    fn means_are_of_floats() {
        let x = [TensorType::fixed(DType::I64, &[2])];
        assert!(error_of("mean", &x, Attrs::new()).contains("must be a float"));
        assert_eq!(type_of("sum", &x, Attrs::new()).to_string(), "i64[]");
        let truth = [TensorType::fixed(DType::Bool, &[2])];
        assert!(error_of("sum", &truth, Attrs::new()).contains("not bool"));
    }
}
