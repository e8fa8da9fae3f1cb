//! Comparisons and logic: results are truth values, so gradients stop there.

use smallvec::smallvec;
use syncarp_ir::{
    DType, Infer, Op, OpRegistry, Operand, RegisterError, TensorType, TypeError, Types,
};

use crate::infer::{Takes, broadcast_all};

pub(super) struct Compare {
    pub name: &'static str,
    pub doc: &'static str,
    pub takes: Takes,
    pub operands: &'static [Operand],
}

pub(super) const TWO: &[Operand] = &[Operand::one("a"), Operand::one("b")];

const COMPARE: &[Compare] = &[
    Compare {
        name: "eq",
        doc: "Whether a equals b, broadcasting; NaN equals nothing (ONNX `Equal`, ATen `eq`).",
        takes: Takes::All,
        operands: TWO,
    },
    Compare {
        name: "ne",
        doc: "Whether a differs from b, broadcasting (ATen `ne`).",
        takes: Takes::All,
        operands: TWO,
    },
    Compare {
        name: "lt",
        doc: "Whether a is below b, broadcasting (ONNX `Less`, ATen `lt`).",
        takes: Takes::All,
        operands: TWO,
    },
    Compare {
        name: "le",
        doc: "Whether a is at most b, broadcasting (ONNX `LessOrEqual`, ATen `le`).",
        takes: Takes::All,
        operands: TWO,
    },
    Compare {
        name: "gt",
        doc: "Whether a is above b, broadcasting (ONNX `Greater`, ATen `gt`).",
        takes: Takes::All,
        operands: TWO,
    },
    Compare {
        name: "ge",
        doc: "Whether a is at least b, broadcasting (ONNX `GreaterOrEqual`, ATen `ge`).",
        takes: Takes::All,
        operands: TWO,
    },
    Compare {
        name: "logical_and",
        doc: "Whether both hold, broadcasting (ONNX `And`, ATen `logical_and`).",
        takes: Takes::Truths,
        operands: TWO,
    },
    Compare {
        name: "logical_or",
        doc: "Whether one holds or both do, broadcasting (ONNX `Or`, ATen `logical_or`).",
        takes: Takes::Truths,
        operands: TWO,
    },
    Compare {
        name: "logical_not",
        doc: "Whether it does not hold (ONNX `Not`, ATen `logical_not`).",
        takes: Takes::Truths,
        operands: &[Operand::one("x")],
    },
];

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    COMPARE.iter().try_for_each(|op| registry.register(op))
}

impl Op for &'static Compare {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn operands(&self) -> &'static [Operand] {
        self.operands
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let count = self.operands.len();
        self.takes.one_dtype(cx, 0..count)?;
        let shape = broadcast_all(cx, 0..count)?;
        Ok(smallvec![TensorType {
            dtype: Some(DType::Bool),
            shape
        }])
    }

    fn is_constant(&self) -> bool {
        true
    }
}
