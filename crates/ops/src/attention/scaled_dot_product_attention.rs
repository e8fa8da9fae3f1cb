//! The op `scaled_dot_product_attention`.

use smallvec::smallvec;
use syncarp_ir::{
    Attrs, BuildError, Expand, Infer, Op, Operand, Shape, TensorType, TypeError, Types, Values,
    broadcast,
};

use crate::emit::Emit;
use crate::expect::{equal, floats, work};

/// The op `scaled_dot_product_attention`.
pub(super) struct Attention;

impl Op for Attention {
    fn name(&self) -> &'static str {
        "scaled_dot_product_attention"
    }

    fn doc(&self) -> &'static str {
        "Attention, `softmax(q k^T / sqrt(d) + mask) v`: q [..., l, d], k [..., s, d], v [..., s, e] \
         and a mask that broadcasts to [..., l, s] to [..., l, e] (ONNX `Attention`, ATen \
         `scaled_dot_product_attention` with a float mask)."
    }

    fn operands(&self) -> &'static [Operand] {
        const {
            &[
                Operand::one("q"),
                Operand::one("k"),
                Operand::one("v"),
                Operand::optional("mask"),
            ]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1, 2, 3])?;
        let mut batch = Some(Shape::new());
        let mut known = [None; 3];
        for (index, known) in known.iter_mut().enumerate() {
            let Some(dims) = cx.dims(index)? else {
                batch = None;
                continue;
            };
            let [leading @ .., rows, columns] = dims else {
                let message = format!("operand {index} must have two dims at least, not {dims:?}");
                return Err(TypeError::new(message));
            };
            *known = Some((rows, columns));
            batch = batch.map(|b| broadcast(&b, leading)).transpose()?;
        }
        let [q, k, v] = known;
        if let (Some((_, a)), Some((_, b))) = (q, k) {
            equal(a, b, "the last dims of q and k")?;
        }
        if let (Some((a, _)), Some((b, _))) = (k, v) {
            equal(a, b, "the rows of k and v")?;
        }
        let (Some(mut shape), Some((l, _)), Some((s, _)), Some((_, e))) = (batch, q, k, v) else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        if cx.operands.len() > 3
            && let Some(mask) = cx.dims(3)?
        {
            let scores: Shape = shape
                .iter()
                .cloned()
                .chain([l.clone(), s.clone()])
                .collect();
            if broadcast(&scores, mask)? != scores {
                let message = format!("a mask of dims {mask:?} does not broadcast to {scores:?}");
                return Err(TypeError::new(message));
            }
        }
        shape.extend([l.clone(), e.clone()]);
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(shape)
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 4], f32[2, 5, 4], f32[2, 5, 6]")
    }

    fn flops(&self, cx: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        // Every row of the result takes s (2 d + 2 e) for the products and 7 s for the softmax,
        // the scale and the mask.
        let size = |operand: usize, from_end: usize| {
            let dims = cx.operand(operand).ok()?.dims()?;
            dims[dims.len() - from_end].known()
        };
        let (d, s, e) = (size(0, 1)?, size(1, 2)?, size(2, 1)?);
        let dims = results.first()?.dims()?;
        let rows = dims[..dims.len() - 1]
            .iter()
            .try_fold(1u64, |n, x| n.checked_mul(x.known()?))?;
        let each = work(&[2, d.checked_add(e)?])?.checked_add(7)?;
        work(&[rows, s, each])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((|| {
            let (q, k, v) = (cx.operands[0], cx.operands[1], cx.operands[2]);
            let dims = cx.b.dims_of(q)?;
            let depth = dims
                .last()
                .and_then(|d| d.known())
                .ok_or_else(|| BuildError::Invalid {
                    op: self.name().to_owned(),
                    message: "the last dim of q must be a number; bind the graph's inputs first"
                        .to_owned(),
                })?;
            // Scaling q rather than the scores takes fewer multiplications where l is below s d.
            let q = cx.b.scale(q, 1.0 / (depth as f64).sqrt())?;
            let attrs = Attrs::new().with("transpose_b", true);
            let mut scores = cx.b.call_with("matmul", &[q, k], attrs)?;
            if let Some(mask) = cx.operands.get(3) {
                scores = cx.b.add(scores, *mask)?;
            }
            let attrs = Attrs::new().with("axis", -1i64);
            let weights = cx.b.call_with("softmax", &[scores], attrs)?;
            Ok(smallvec![cx.b.call("matmul", &[weights, v])?])
        })())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check, decomposed, dims, error_of, type_of};
    use syncarp_ir::DType;

    fn f32s(text: &[&str]) -> Vec<TensorType> {
        text.iter()
            .map(|t| TensorType::new(DType::F32, dims(t)))
            .collect()
    }

    #[test]
    fn it_types_as_its_parts_do() {
        for types in [
            f32s(&["n,h,l,8", "n,h,s,8", "n,h,s,16"]),
            f32s(&["l,8", "s,8", "s,16", "l,s"]),
            f32s(&["n,h,l,8", "n,1,s,8", "n,1,s,16", "l,1"]),
        ] {
            decomposed("scaled_dot_product_attention", &types, Attrs::new());
        }
        let mut types = f32s(&["n,l,8", "n,s,8", "n,s,16"]);
        types[1] = TensorType::unknown();
        let ty = type_of("scaled_dot_product_attention", &types, Attrs::new());
        assert_eq!(ty.to_string(), "f32[*]");
    }

    #[test]
    fn it_says_what_does_not_fit() {
        let error = |t: &[&str]| error_of("scaled_dot_product_attention", &f32s(t), Attrs::new());
        assert!(error(&["n,l,8", "n,s,9", "n,s,16"]).contains("q and k"));
        assert!(error(&["n,l,8", "n,s,8", "n,t,16"]).contains("k and v"));
        assert!(error(&["8", "n,s,8", "n,s,16"]).contains("two dims"));
        assert!(error(&["l,8", "s,8", "s,8", "3,l,s"]).contains("mask"));
    }

    #[test]
    fn the_work_is_that_of_two_products_and_a_softmax() {
        check("scaled_dot_product_attention")
            .gives("f32[n, l, 8], f32[n, s, 8], f32[n, s, 16]", "f32[n, l, 16]")
            .flops("f32[2, 3, 4], f32[2, 5, 4], f32[2, 5, 6]", 810);
    }
}
