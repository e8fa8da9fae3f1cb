//! Losses that are the mean of a number for each element, each an entry of one table:
//! `mse_loss`, `l1_loss`, `huber_loss`, `bce_with_logits`.

use smallvec::smallvec;
use syncarp_ir::{
    Attrs, BuildError, Expand, GraphBuilder, Infer, Op, OpRegistry, Operand, RegisterError,
    TensorType, TypeError, Types, Value, Values,
};

use crate::emit::Emit;
use crate::expect::{floats, scalars, typed, work};
use crate::infer::one_shape;

/// What one element contributes, from the operands.
type Each = fn(&mut GraphBuilder, &[Value]) -> Result<Value, BuildError>;

struct Pointwise {
    name: &'static str,
    doc: &'static str,
    operands: &'static [Operand],
    /// Floating-point operations for each element.
    flops: u64,
    each: Each,
}

const POINTWISE: &[Pointwise] = &[
    Pointwise {
        name: "mse_loss",
        doc: "The mean of the squared differences of a and b, of one shape (ATen `mse_loss`).",
        operands: const { &[Operand::one("a"), Operand::one("b")] },
        flops: 3,
        each: |g, v| {
            let difference = g.sub(v[0], v[1])?;
            g.call("square", &[difference])
        },
    },
    Pointwise {
        name: "l1_loss",
        doc: "The mean of the magnitudes of the differences of a and b, of one shape (ATen \
              `l1_loss`).",
        operands: const { &[Operand::one("a"), Operand::one("b")] },
        flops: 3,
        each: |g, v| {
            let difference = g.sub(v[0], v[1])?;
            g.call("abs", &[difference])
        },
    },
    Pointwise {
        name: "huber_loss",
        doc: "The mean of half the squared differences of a and b, of one shape, which goes on as a \
              line where a difference is larger than the scalar delta (ATen `huber_loss`).",
        operands: const { &[Operand::one("a"), Operand::one("b"), Operand::one("delta")] },
        flops: 6,
        each: |g, v| {
            // With m the smaller of |d| and delta, both branches are m (|d| - m / 2).
            let difference = g.sub(v[0], v[1])?;
            let magnitude = g.call("abs", &[difference])?;
            let least = g.call("minimum", &[magnitude, v[2]])?;
            let half = g.scale(least, 0.5)?;
            let rest = g.sub(magnitude, half)?;
            g.mul(least, rest)
        },
    },
    Pointwise {
        name: "bce_with_logits",
        doc: "The mean of the binary cross-entropies, in nats, of the sigmoid of x with the target, \
              a probability, of one shape (ATen `binary_cross_entropy_with_logits`).",
        operands: const { &[Operand::one("x"), Operand::one("target")] },
        flops: 7,
        each: |g, v| {
            // max(x, 0) - x t + log(1 + exp(-|x|)) never overflows. At x = 0 `maximum` passes half
            // the gradient and `abs` none, which together is the sigmoid's half.
            let zero = g.number_like(v[0], 0.0)?;
            let above = g.call("maximum", &[v[0], zero])?;
            let product = g.mul(v[0], v[1])?;
            let line = g.sub(above, product)?;
            let magnitude = g.call("abs", &[v[0]])?;
            let below = g.neg(magnitude)?;
            let exp = g.call("exp", &[below])?;
            let log = g.call("log1p", &[exp])?;
            g.add(line, log)
        },
    },
];

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    POINTWISE.iter().try_for_each(|op| registry.register(op))
}

impl Op for &'static Pointwise {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        self.operands
    }

    fn results(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0, 1, 2])?;
        one_shape(cx, 0..2)?;
        scalars(cx, 2..self.operands.len())?;
        Ok(smallvec![typed(dtype, Some(&[]))])
    }

    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        work(&[self.flops, cx.operand(0).ok()?.elements()?])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some((|| {
            let each = (self.each)(cx.b, cx.operands)?;
            let rank = cx.b.dims_of(each)?.len();
            let axes: Vec<i64> = (0..rank as i64).collect();
            let attrs = Attrs::new().with("axes", axes).with("keep", false);
            Ok(smallvec![cx.b.call_with("mean", &[each], attrs)?])
        })())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{decomposed, dims, error_of, type_of};
    use syncarp_ir::DType;

    #[test]
    fn every_one_is_a_scalar_that_decomposes() {
        for op in POINTWISE {
            let x = TensorType::new(DType::F32, dims("n,3"));
            let mut types = vec![x.clone(), x];
            if op.operands.len() > 2 {
                types.push(TensorType::scalar(DType::F32));
            }
            assert_eq!(type_of(op.name, &types, Attrs::new()).to_string(), "f32[]");
            decomposed(op.name, &types, Attrs::new());
            types[1] = TensorType::new(DType::F32, dims("n"));
            assert!(error_of(op.name, &types, Attrs::new()).contains("dims"));
            types[1] = TensorType::unknown();
            assert_eq!(type_of(op.name, &types, Attrs::new()).to_string(), "f32[]");
        }
    }

    #[test]
    fn a_shape_must_not_be_broadcast_by_mistake() {
        let types = [
            TensorType::new(DType::F32, dims("n,1")),
            TensorType::new(DType::F32, dims("1,n")),
        ];
        assert!(error_of("mse_loss", &types, Attrs::new()).contains("dims"));
    }
}
