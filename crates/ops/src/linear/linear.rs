//! The op `linear`.

use smallvec::smallvec;
use syncarp_ir::{
    Attrs, Gradient, GradientError, Infer, Op, Operand, Shape, TensorType, TypeError, Types,
};

use crate::emit::Emit;
use crate::expect::{equal, floats, work};
use crate::infer::product;

/// The op `linear`.
pub(super) struct Linear;

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn doc(&self) -> &'static str {
        "An affine map of the last dim, `x weight^T + bias`: x [..., in], weight [out, in], bias \
         [out] to [..., out] (ONNX `Gemm` with transB, ATen `linear`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("x"),
                Operand::one("weight"),
                Operand::optional("bias"),
            ]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1, 2])?;
        let weight = cx.rank(1, 2)?;
        let bias = if cx.operands.len() > 2 {
            cx.rank(2, 1)?
        } else {
            None
        };
        if let (Some(weight), Some(bias)) = (weight, bias) {
            equal(&weight[0], &bias[0], "the outputs of weight and bias")?;
        }
        let x = cx.dims(0)?;
        let Some(x) = x else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        let Some((inputs, leading)) = x.split_last() else {
            return Err(TypeError::new(
                "operand 0 must have a dim of inputs, not be a scalar",
            ));
        };
        if let Some(weight) = weight {
            equal(inputs, &weight[1], "the inputs of x and weight")?;
        }
        let outputs = weight.or(bias).map(|dims| dims[0].clone());
        let shape = outputs.map(|o| leading.iter().cloned().chain([o]).collect::<Shape>());
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3], f32[4, 3], f32[4]")
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        let inputs = cx.operand(1).ok()?.dims()?.get(1)?.known()?;
        let outputs = results.first()?.elements()?;
        let bias = if cx.operands.len() > 2 { outputs } else { 0 };
        work(&[2, outputs, inputs])?.checked_add(bias)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        let Some(dy) = cx.arrived[0] else {
            return Ok(());
        };
        let (x, weight) = (cx.operands[0], cx.operands[1]);
        if cx.wants(0) {
            let dx = cx.b.call("matmul", &[dy, weight])?;
            cx.give(0, dx);
        }
        if !cx.wants(1) && !cx.wants(2) {
            return Ok(());
        }
        // The rows of all leading dims are one matrix for what is summed over them.
        let rows = |cx: &mut Gradient<'_>, value| -> Result<_, GradientError> {
            let dims = cx.b.dims_of(value)?;
            let (last, leading) = dims.split_last().expect("inference demanded a dim");
            let rows = product(leading).map_err(|e| invalid(e.message))?;
            Ok(cx.b.reshape_to(value, &smallvec![rows, last.clone()])?)
        };
        let dy = rows(cx, dy)?;
        if cx.wants(1) {
            let x = rows(cx, x)?;
            let attrs = Attrs::new().with("transpose_a", true);
            let dw = cx.b.call_with("matmul", &[dy, x], attrs)?;
            cx.give(1, dw);
        }
        if cx.wants(2) {
            let db = cx.b.sum(dy, &[0], false)?;
            cx.give(2, db);
        }
        Ok(())
    }
}

fn invalid(message: String) -> GradientError {
    GradientError::Build(syncarp_ir::BuildError::Invalid {
        op: "linear".to_owned(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, gradients, type_of};

    fn f32s(text: &str) -> TensorType {
        TensorType::new(DType::F32, dims(text))
    }

    #[test]
    fn it_maps_the_last_dim() {
        let ty = |types: &[TensorType]| type_of("linear", types, Attrs::new()).to_string();
        assert_eq!(ty(&[f32s("n,4"), f32s("3,4"), f32s("3")]), "f32[n, 3]");
        assert_eq!(ty(&[f32s("n,t,4"), f32s("3,4")]), "f32[n, t, 3]");
        assert_eq!(ty(&[f32s("4"), f32s("3,4")]), "f32[3]");
        let unknown = TensorType::unknown();
        assert_eq!(ty(&[unknown.clone(), f32s("3,4")]), "f32[*]");
        assert_eq!(ty(&[f32s("n,4"), unknown.clone()]), "f32[*]");
        assert_eq!(ty(&[f32s("n,4"), unknown.clone(), f32s("3")]), "f32[n, 3]");
        assert_eq!(ty(&[unknown.clone(), unknown]), "?[*]");
    }

    #[test]
    fn it_says_what_does_not_fit() {
        let error = |types: &[TensorType]| error_of("linear", types, Attrs::new());
        assert!(error(&[f32s("n,5"), f32s("3,4")]).contains("inputs of x and weight"));
        assert!(error(&[f32s("n,4"), f32s("3,4"), f32s("4")]).contains("weight and bias"));
        assert!(error(&[f32s("n,4"), f32s("3")]).contains("2 dims"));
        assert!(error(&[f32s(""), f32s("3,4")]).contains("scalar"));
        let ints = TensorType::new(DType::I64, dims("n,4"));
        assert!(error(&[ints, f32s("3,4")]).contains("float"));
        let doubles = TensorType::new(DType::F64, dims("n,4"));
        assert!(error(&[doubles, f32s("3,4")]).contains("must be f64"));
    }

    #[test]
    fn gradients_have_the_types_of_their_operands() {
        for x in ["n,4", "n,t,4", "4"] {
            let types = [f32s(x), f32s("3,4"), f32s("3")];
            assert_eq!(gradients("linear", &types, Attrs::new()), types);
        }
    }

    #[test]
    fn the_work_is_that_of_the_product_and_the_bias() {
        check("linear")
            .flops("f32[2, 3], f32[4, 3], f32[4]", 56)
            .flops("f32[2, 3], f32[4, 3]", 48);
    }
}
