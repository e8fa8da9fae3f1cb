//! Determinants.

use smallvec::smallvec;
use syncarp_ir::{
    Dim, Gradient, GradientError, Infer, Op, Operand, Shape, TensorType, TypeError, Types,
};

use crate::emit::Emit;
use crate::expect::{equal, typed, work};
use crate::infer::Takes;

/// The batch dims of square matrices and their size.
fn square(dims: &[Dim]) -> Result<(&[Dim], &Dim), TypeError> {
    let [batch @ .., rows, columns] = dims else {
        return Err(TypeError::new(format!(
            "x must have the two dims of a matrix at least, not {dims:?}"
        )));
    };
    equal(rows, columns, "the rows and columns of a matrix")?;
    Ok((batch, rows))
}

/// The work on matrices of dims that are known.
fn cubic(cx: &Infer<'_>, factor: u64) -> Option<u64> {
    let x = cx.operand(0).ok()?;
    let (_, size) = square(x.dims()?).ok()?;
    work(&[factor, x.elements()?, size.known()?])
}

/// The op `det`.
pub(super) struct Det;

impl Op for Det {
    fn name(&self) -> &'static str {
        "det"
    }

    fn doc(&self) -> &'static str {
        "The determinant of each square matrix: x [..., n, n] gives [...]; of no rows it is 1 \
         (ONNX `Det`, ATen `linalg_det`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 3]")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        let batch = cx.dims(0)?.map(square).transpose()?;
        Ok(smallvec![typed(dtype, batch.map(|(batch, _)| batch))])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cubic(cx, 1)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.call("det_grad", &[cx.operands[0], dy])?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// The op `det_grad`.
pub(super) struct DetGrad;

impl Op for DetGrad {
    fn name(&self) -> &'static str {
        "det_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `det`: dy [...] times the cofactors of each matrix of x [..., n, n], \
         singular ones too (ATen `linalg_det_backward`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("dy")] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 3], f32[2]")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
        let batch = cx.dims(0)?.map(square).transpose()?;
        if let (Some((batch, _)), Some(dy)) = (batch, cx.dims(1)?)
            && batch != dy
        {
            let message = format!("dy must have dims {batch:?}, not {dy:?}");
            return Err(TypeError::new(message));
        }
        let shape = cx.dims(0)?.map(Shape::from);
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cubic(cx, 3)
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    #[test]
    fn matrices_become_numbers() {
        let of = |types| results("det", types, Attrs::new());
        assert_eq!(of("f32[b, 3, n, n]"), "f32[b, 3]");
        assert_eq!(of("f32[0, 0]"), "f32[]");
        assert_eq!(of("?[*]"), "?[*]");
        let wrong = |types| error("det", types, Attrs::new());
        assert!(wrong("f32[3]").contains("two dims of a matrix"));
        assert!(wrong("f32[3, 4]").contains("must be equal"));
        assert!(wrong("i64[3, 3]").contains("must be a float"));
        assert_eq!(
            gradients("det", "f32[b, n, n]", Attrs::new()),
            "f32[b, n, n]"
        );
        let wrong = error("det_grad", "f32[b, 3, 3], f32[2]", Attrs::new());
        assert!(wrong.contains("dy must have dims [b]"));
    }
}
