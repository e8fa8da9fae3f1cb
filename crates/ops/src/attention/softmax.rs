//! The ops `softmax` and `log_softmax`, each an entry of one table.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, BuildError, Gradient, GradientError, Infer, Op, OpRegistry, Operand,
    RegisterError, TensorType, TypeError, Types, Value,
};

use crate::emit::Emit;
use crate::expect::{floats, typed, work};

/// The gradient of x, from the gradient that arrived and the axis.
type Rule = fn(&mut Gradient<'_>, Value, i64) -> Result<Value, BuildError>;

struct Softmax {
    name: &'static str,
    doc: &'static str,
    rule: Rule,
}

const SOFTMAXES: &[Softmax] = &[
    Softmax {
        name: "softmax",
        doc: "Exponentials along an axis divided by their sum (ONNX `Softmax`, ATen `softmax.int`).",
        rule: |cx, dy, axis| {
            let y = cx.results[0];
            let product = cx.b.mul(dy, y)?;
            let total = cx.b.sum(product, &[axis], true)?;
            let rest = cx.b.sub(dy, total)?;
            cx.b.mul(rest, y)
        },
    },
    Softmax {
        name: "log_softmax",
        doc: "The natural logarithm of the softmax along an axis, in nats (ONNX `LogSoftmax`, ATen \
              `log_softmax.int`).",
        rule: |cx, dy, axis| {
            let total = cx.b.sum(dy, &[axis], true)?;
            let probs = cx.b.call("exp", &[cx.results[0]])?;
            let part = cx.b.mul(probs, total)?;
            cx.b.sub(dy, part)
        },
    },
];

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    SOFTMAXES.iter().try_for_each(|op| registry.register(op))
}

impl Op for &'static Softmax {
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
        const {
            &[AttrSpec::required(
                "axis",
                AttrKind::Int,
                "The axis of classes; counted from the end where negative.",
            )]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = floats(cx, &[0])?;
        let dims = cx.dims(0)?;
        if let Some(dims) = dims {
            cx.axis("axis", dims.len())?;
        }
        Ok(smallvec![typed(dtype, dims)])
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[5, results.first()?.elements()?])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let axis = cx.attrs.int("axis").expect("the attribute was checked");
            let dx = (self.rule)(cx, dy, axis)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{dims, error_of, gradients, type_of};
    use syncarp_ir::{Attrs, DType, TensorType};

    #[test]
    fn the_type_stays() {
        let x = [TensorType::new(DType::F32, dims("n,4,t"))];
        for op in ["softmax", "log_softmax"] {
            for axis in [-1i64, 0, 1, 2] {
                let attrs = Attrs::new().with("axis", axis);
                assert_eq!(type_of(op, &x, attrs.clone()), x[0]);
                assert_eq!(gradients(op, &x, attrs), x);
            }
            assert!(error_of(op, &x, Attrs::new().with("axis", 3i64)).contains("outside"));
            let unknown = [TensorType::unknown()];
            let attrs = Attrs::new().with("axis", 7i64);
            assert_eq!(type_of(op, &unknown, attrs), unknown[0]);
        }
    }
}
