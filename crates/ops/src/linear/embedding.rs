//! The op `embedding` and its gradient.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, Dim, Gradient, GradientError, Infer, Op, Operand, Shape, TensorType,
    TypeError, Types,
};

use crate::emit::Emit;
use crate::expect::{floats, integers};

/// The op `embedding`.
pub(super) struct Embedding;

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn doc(&self) -> &'static str {
        "Rows of a table: weight [v, d] and integer index [...] to [..., d]. An index outside the \
         table gives a row of NaN, so that the model that asks for it fails alone (ONNX `Gather` on \
         axis 0, ATen `embedding`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("weight"), Operand::one("index")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0])?;
        integers(cx, 1)?;
        let shape = match (cx.rank(0, 2)?, cx.dims(1)?) {
            (Some(weight), Some(index)) => {
                Some(index.iter().chain(&weight[1..]).cloned().collect::<Shape>())
            }
            _ => None,
        };
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn bytes(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        // Only the rows that are asked for are read.
        let rows = results.first()?.bytes()?.checked_mul(2)?;
        rows.checked_add(cx.operand(1).ok()?.bytes()?)
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[10, 4], i64[2, 3]")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let rows = cx.b.dims_of(cx.operands[0])?[..1].to_vec();
            let attrs = Attrs::new().with("rows", rows);
            let dw =
                cx.b.call_with("embedding_grad", &[dy, cx.operands[1]], attrs)?;
            cx.give(0, dw);
        }
        Ok(())
    }
}

/// The op `embedding_grad`.
pub(super) struct EmbeddingGrad;

impl Op for EmbeddingGrad {
    fn name(&self) -> &'static str {
        "embedding_grad"
    }

    fn doc(&self) -> &'static str {
        "The gradient of `embedding`'s table: dy [..., d] and index [...] to [v, d], the rows of dy \
         added up by their index in order of index; rows whose index lies outside are left out."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("dy"), Operand::one("index")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::required(
                "rows",
                AttrKind::Dims,
                "The table's rows, one dim.",
            )]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0])?;
        integers(cx, 1)?;
        let Some([rows]) = cx.attrs.dims("rows") else {
            return Err(TypeError::new("`rows` must be one dim"));
        };
        let (dy, index) = (cx.dims(0)?, cx.dims(1)?);
        if let (Some(dy), Some(index)) = (dy, index)
            && dy.split_last().map(|(_, leading)| leading) != Some(index)
        {
            let message = format!("dy must have the dims of index and one more, not {dy:?}");
            return Err(TypeError::new(message));
        }
        let width: Option<&Dim> = dy.and_then(|d| d.last());
        let shape = width.map(|d| smallvec![rows.clone(), d.clone()]);
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 4], i64[2, 3] {rows=dims[10]}")
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        cx.operand(0).ok()?.elements()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, dims, error_of, gradients, type_of};
    use syncarp_ir::DType;

    #[test]
    fn rows_take_the_place_of_indices() {
        let weight = TensorType::new(DType::F32, dims("100,8"));
        let index = TensorType::new(DType::I64, dims("n,t"));
        let types = [weight.clone(), index.clone()];
        assert_eq!(
            type_of("embedding", &types, Attrs::new()).to_string(),
            "f32[n, t, 8]"
        );
        assert_eq!(gradients("embedding", &types, Attrs::new())[0], weight);
        let unknown = [weight.clone(), TensorType::unknown()];
        assert_eq!(
            type_of("embedding", &unknown, Attrs::new()).to_string(),
            "f32[*]"
        );
        let swapped = error_of("embedding", &[index.clone(), weight.clone()], Attrs::new());
        assert!(swapped.contains("float"), "{swapped}");
        let attrs = Attrs::new().with("rows", dims("100"));
        let wrong = error_of("embedding_grad", &[weight, index], attrs);
        assert!(wrong.contains("one more"), "{wrong}");
    }

    #[test]
    fn only_rows_asked_for_are_read() {
        check("embedding")
            .differentiates("f32[100, 8], i64[n, t]")
            .flops("f32[10, 4], i64[2, 3]", 0)
            .bytes("f32[10, 4], i64[2, 3]", 240);
        check("embedding_grad")
            .gives("f32[n, 4], i64[n] {rows=dims[10]}", "f32[10, 4]")
            .refuses("f32[n, 4], i64[n] {rows=dims[10, 2]}", "one dim")
            .flops("f32[2, 3, 4], i64[2, 3] {rows=dims[10]}", 24)
            .bytes("f32[2, 3, 4], i64[2, 3] {rows=dims[10]}", 304);
    }
}
