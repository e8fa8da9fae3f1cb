//! The op `matmul`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, BuildError, Dim, Gradient, GradientError, GraphBuilder,
    Infer, Op, Operand, Shape, TensorType, TypeError, Types, Value, broadcast,
};

use crate::emit::Emit;
use crate::expect::{equal, floats, work};
use crate::infer::product;

/// The op `matmul`.
pub(super) struct MatMul;

/// A matrix operand's batch dims, rows and columns, once transposed; a vector has a unit dim where
/// it has none of its own.
struct Matrix<'a> {
    batch: &'a [Dim],
    rows: Option<&'a Dim>,
    columns: Option<&'a Dim>,
}

impl<'a> Matrix<'a> {
    fn of(dims: &'a [Dim], transposed: bool, left: bool) -> Result<Self, TypeError> {
        match dims {
            [] => Err(TypeError::new(
                "an operand must have a dim, not be a scalar",
            )),
            [_] if transposed => Err(TypeError::new("only matrices can be transposed, no vector")),
            [k] if left => Ok(Matrix {
                batch: &[],
                rows: None,
                columns: Some(k),
            }),
            [k] => Ok(Matrix {
                batch: &[],
                rows: Some(k),
                columns: None,
            }),
            [batch @ .., c, r] if transposed => Ok(Matrix {
                batch,
                rows: Some(r),
                columns: Some(c),
            }),
            [batch @ .., r, c] => Ok(Matrix {
                batch,
                rows: Some(r),
                columns: Some(c),
            }),
        }
    }
}

fn flags(attrs: &Attrs) -> (bool, bool) {
    let flag = |name| attrs.bool(name).unwrap_or(false);
    (flag("transpose_a"), flag("transpose_b"))
}

impl Op for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn doc(&self) -> &'static str {
        "The matrix product over the last two dims: a [..., m, k] and b [..., k, n] to [..., m, n], \
         batch dims broadcasting; a vector on the left is a row, one on the right a column, whose \
         unit dim the result lacks (ONNX `MatMul`, ATen `matmul`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("a"), Operand::one("b")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[
                AttrSpec::optional(
                    "transpose_a",
                    AttrKind::Bool,
                    "Whether the last two dims of a are swapped; false by default.",
                )
                .or(AttrDefault::Bool(false)),
                AttrSpec::optional(
                    "transpose_b",
                    AttrKind::Bool,
                    "Whether the last two dims of b are swapped; false by default.",
                )
                .or(AttrDefault::Bool(false)),
            ]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1])?;
        let (ta, tb) = flags(cx.attrs);
        let a = cx.dims(0)?.map(|d| Matrix::of(d, ta, true)).transpose()?;
        let b = cx.dims(1)?.map(|d| Matrix::of(d, tb, false)).transpose()?;
        let (Some(a), Some(b)) = (a, b) else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        if let (Some(x), Some(y)) = (a.columns, b.rows) {
            equal(x, y, "the columns of a and the rows of b")?;
        }
        let mut shape = broadcast(a.batch, b.batch)?;
        shape.extend(a.rows.cloned());
        shape.extend(b.columns.cloned());
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(shape)
        }])
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        let a = Matrix::of(cx.operand(0).ok()?.dims()?, flags(cx.attrs).0, true).ok()?;
        work(&[2, results.first()?.elements()?, a.columns?.known()?])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        let (ta, tb) = flags(cx.attrs);
        let (a, b) = (cx.operands[0], cx.operands[1]);
        let (a_dims, b_dims) = (cx.b.dims_of(a)?, cx.b.dims_of(b)?);
        // Vectors become matrices, so that one rule serves all.
        let mut dims = cx.b.dims_of(dy)?;
        let one = Dim::Known(1);
        if b_dims.len() == 1 {
            dims.push(one.clone());
        }
        if a_dims.len() == 1 {
            dims.insert(dims.len() - 1, one.clone());
        }
        let dy = cx.b.reshape_to(dy, &dims)?;
        let a2 = match &a_dims[..] {
            [k] => cx.b.reshape_to(a, &smallvec![one, k.clone()])?,
            _ => a,
        };
        let b2 = match &b_dims[..] {
            [k] => cx.b.reshape_to(b, &smallvec![k.clone(), Dim::Known(1)])?,
            _ => b,
        };
        if cx.wants(0) {
            let da = match ta {
                false => emit(cx.b, dy, b2, false, !tb)?,
                true => emit(cx.b, b2, dy, tb, true)?,
            };
            let da = cx.b.sum_to_like(da, a2)?;
            let da = cx.b.reshape_like(da, a)?;
            cx.give(0, da);
        }
        if cx.wants(1) {
            // One matrix for a whole batch: the rows of the batch are summed in one product.
            let tall = !ta && b_dims.len() <= 2 && dims.len() > 2;
            let (a2, dy) = match tall {
                true => (flat(cx.b, a2)?, flat(cx.b, dy)?),
                false => (a2, dy),
            };
            let db = match tb {
                false => emit(cx.b, a2, dy, !ta, false)?,
                true => emit(cx.b, dy, a2, true, ta)?,
            };
            let db = cx.b.sum_to_like(db, b2)?;
            let db = cx.b.reshape_like(db, b)?;
            cx.give(1, db);
        }
        Ok(())
    }
}

fn emit(
    g: &mut GraphBuilder,
    a: Value,
    b: Value,
    transpose_a: bool,
    transpose_b: bool,
) -> Result<Value, BuildError> {
    let mut attrs = Attrs::new();
    if transpose_a {
        attrs.set("transpose_a", true);
    }
    if transpose_b {
        attrs.set("transpose_b", true);
    }
    g.call_with("matmul", &[a, b], attrs)
}

/// A batch of matrices as one tall matrix.
fn flat(g: &mut GraphBuilder, value: Value) -> Result<Value, BuildError> {
    let dims = g.dims_of(value)?;
    let (last, leading) = dims.split_last().expect("a matrix has two dims");
    let rows = product(leading).map_err(|e| BuildError::Invalid {
        op: "matmul".to_owned(),
        message: e.message,
    })?;
    let dims: Shape = smallvec![rows, last.clone()];
    g.reshape_to(value, &dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{dims, error_of, gradients, type_of};
    use syncarp_ir::DType;

    fn f32s(text: &str) -> TensorType {
        TensorType::new(DType::F32, dims(text))
    }

    fn attrs((ta, tb): (bool, bool)) -> Attrs {
        Attrs::new().with("transpose_a", ta).with("transpose_b", tb)
    }

    const CASES: &[(&str, &str, (bool, bool), &str)] = &[
        ("n,4", "4,3", (false, false), "f32[n, 3]"),
        ("4,n", "4,3", (true, false), "f32[n, 3]"),
        ("n,4", "3,4", (false, true), "f32[n, 3]"),
        ("4,n", "3,4", (true, true), "f32[n, 3]"),
        ("b,5,n,4", "b,1,4,3", (false, false), "f32[b, 5, n, 3]"),
        ("b,n,4", "4,3", (false, false), "f32[b, n, 3]"),
        ("b,n,4", "3,4", (false, true), "f32[b, n, 3]"),
        ("b,4,n", "3,4", (true, true), "f32[b, n, 3]"),
        ("n,4", "b,4,3", (false, false), "f32[b, n, 3]"),
        ("4", "4,3", (false, false), "f32[3]"),
        ("4", "b,4,3", (false, false), "f32[b, 3]"),
        ("b,n,4", "4", (false, false), "f32[b, n]"),
        ("4", "4", (false, false), "f32[]"),
    ];

    #[test]
    fn it_follows_numpy() {
        for (a, b, flags, want) in CASES {
            let ty = type_of("matmul", &[f32s(a), f32s(b)], attrs(*flags));
            assert_eq!(ty.to_string(), *want);
        }
        let unknown = [f32s("n,4"), TensorType::unknown()];
        assert_eq!(
            type_of("matmul", &unknown, Attrs::new()).to_string(),
            "f32[*]"
        );
    }

    #[test]
    fn gradients_have_the_types_of_their_operands() {
        for (a, b, flags, _) in CASES {
            let types = [f32s(a), f32s(b)];
            assert_eq!(
                gradients("matmul", &types, attrs(*flags)),
                types,
                "{a} {b} {flags:?}"
            );
        }
    }

    #[test]
    fn it_says_what_does_not_fit() {
        let error = |a, b, flags| error_of("matmul", &[f32s(a), f32s(b)], attrs(flags));
        assert!(error("n,4", "5,3", (false, false)).contains("rows of b"));
        assert!(error("n,4", "", (false, false)).contains("scalar"));
        assert!(error("4", "4,3", (true, false)).contains("vector"));
        assert!(error("2,n,4", "3,4,5", (false, false)).contains("broadcast"));
    }
}
