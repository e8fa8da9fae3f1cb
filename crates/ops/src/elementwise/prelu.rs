//! The op `prelu`.

use smallvec::smallvec;
use syncarp_ir::{
    BuildError, Dim, Expand, Infer, Op, Operand, Shape, TensorType, TypeError, Types, Values,
};

use crate::emit::Emit;
use crate::infer::Takes;

/// The op `prelu`.
pub(super) struct Prelu;

impl Op for Prelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn doc(&self) -> &'static str {
        "The element where it is above zero, else times a learned weight: w is [c] and belongs to \
         dim 1 of x [n, c, ...], or has one element for all (ATen `prelu`; ONNX `PRelu` where its \
         slope has this form)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("w")] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Floats.one_dtype(cx, 0..2)?;
        let shape = cx.operand(0)?.shape.clone();
        match (&shape, cx.dims(1)?) {
            (_, Some([])) | (None, Some([_])) | (_, None) => {}
            (Some(x), Some([c])) if *c == Dim::Known(1) || x.get(1) == Some(c) => {}
            (_, Some(_)) => {
                let (x, w) = (cx.operand(0)?, cx.operand(1)?);
                let message = format!("w must have one element or as many as dim 1 of {x}, is {w}");
                return Err(TypeError::new(message));
            }
        }
        Ok(smallvec![TensorType { dtype, shape }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3, 4], f32[3]")
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let (x, w) = (cx.operands[0], cx.operands[1]);
        let mut parts = || {
            let b = &mut *cx.b;
            let rank = b.dims_of(x)?.len();
            let mut dims: Shape = b.dims_of(w)?;
            if dims.first().is_some_and(|c| *c == Dim::Known(1)) {
                dims.clear();
            } else if !dims.is_empty() {
                dims.resize(rank.saturating_sub(1).max(1), Dim::Known(1));
            }
            let w = b.reshape_to(w, &dims)?;
            let zero = b.number_like(x, 0.0)?;
            let on = b.call("gt", &[x, zero])?;
            let below = b.mul(w, x)?;
            b.select(on, x, below)
        };
        Some(parts().map(|v| smallvec![v]))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_weight_belongs_to_channels() {
        check("prelu")
            .gives("f32[n, 4, 3], f32[4]", "f32[n, 4, 3]")
            .refuses("f32[n, 4], f32[3]", "as many as dim 1")
            .refuses("f32[n, 4], f32[4, 1]", "one element")
            .refuses("i64[n, 4], i64[4]", "must be a float")
            .decomposes("f32[n, 4, 3], f32[4]")
            .decomposes("f32[n, 4, 3], f32[1]")
            .decomposes("f32[n, 4, 3], f32[]")
            .decomposes("f32[n, 4], f32[4]")
            .flops("f32[2, 3], f32[3]", 6);
    }
}
