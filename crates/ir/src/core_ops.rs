//! The ops that the graph itself knows: what comes from outside, and what nobody knows.

use smallvec::smallvec;

use crate::attr::{AttrKind, Attrs};
use crate::dim::Dim;
use crate::op::{Infer, Op, Purity, TypeError, Types, numbers};
use crate::registry::{OpRegistry, RegisterError};
use crate::spec::{AttrDefault, AttrSpec, Operand};
use crate::types::TensorType;

/// The name of the op that reads an input.
pub const INPUT: &str = "input";
/// The name of the op that reads a state.
pub const STATE: &str = "state";
/// The name of the op that holds a constant.
pub const CONSTANT: &str = "constant";
/// The name of the op that stands for an unknown one.
pub const CUSTOM: &str = "custom";
/// The name of the input that counts the batches of a data stream.
pub const STEP_INPUT: &str = "step";

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    const DOC: &str =
        "What the graph itself knows: values from outside, and ops that nobody knows.";
    registry.register_family("sources", DOC, |registry| {
        registry.register(Input)?;
        registry.register(StateOp)?;
        registry.register(Constant)?;
        registry.register(Custom)
    })
}

/// A value that comes from a model's data stream, or a coefficient of its evaluator.
struct Input;

impl Op for Input {
    fn name(&self) -> &'static str {
        INPUT
    }
    fn doc(&self) -> &'static str {
        "A value given to each step: a column of the data stream, the step number (`step`, an i64 \
         scalar), or with `coefficient` a number that the host computes from the evaluator. Inputs \
         of different models are different until a pass proves their data streams equal."
    }
    fn operands(&self) -> &'static [Operand] {
        &[]
    }
    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required("model", AttrKind::Model, "The model whose input it is."),
            AttrSpec::required("name", AttrKind::Str, "The column, or the coefficient."),
            AttrSpec::optional(
                "dtype",
                AttrKind::DType,
                "The element type; unknown where left out.",
            ),
            AttrSpec::optional(
                "dims",
                AttrKind::Dims,
                "The shape, batch dim first; unknown where left out.",
            ),
            AttrSpec::optional(
                "coefficient",
                AttrKind::Bool,
                "Whether the evaluator gives it.",
            )
            .or(AttrDefault::Bool(false)),
        ];
        SPECS
    }
    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Ok(smallvec![written_type(cx.attrs)])
    }
    fn example(&self) -> Option<&'static str> {
        Some(r#"{model=m0, name="x", dtype=f32, dims=dims[2, 3]}"#)
    }
    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }
    fn purity(&self) -> Purity {
        Purity::Source
    }
}

fn written_type(attrs: &Attrs) -> TensorType {
    let shape = attrs.dims("dims").map(|d| d.iter().cloned().collect());
    TensorType {
        dtype: attrs.dtype("dtype"),
        shape,
    }
}

/// The value of a state at the start of a step.
struct StateOp;

impl Op for StateOp {
    fn name(&self) -> &'static str {
        STATE
    }
    fn doc(&self) -> &'static str {
        "The value that a parameter, buffer or optimizer slot has at the start of the step. Its \
         next value, if it gets one, is an `update` output of the graph."
    }
    fn operands(&self) -> &'static [Operand] {
        &[]
    }
    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required("of", AttrKind::State, "The state.")];
        SPECS
    }
    fn infer(&self, _: &Infer<'_>) -> Result<Types, TypeError> {
        // The plan's table of states knows the type; whoever emits the node states it.
        Ok(smallvec![TensorType::unknown()])
    }
    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }
    fn purity(&self) -> Purity {
        Purity::Source
    }
}

/// A constant tensor, small enough to be written down.
struct Constant;

impl Op for Constant {
    fn name(&self) -> &'static str {
        CONSTANT
    }
    fn doc(&self) -> &'static str {
        "A constant: one number that fills the shape, or as many as it has elements, row-major \
         (ONNX `Constant`)."
    }
    fn operands(&self) -> &'static [Operand] {
        &[]
    }
    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required("dtype", AttrKind::DType, "The element type."),
            AttrSpec::required("value", AttrKind::Number, "A number, or a list of them."),
            AttrSpec::optional("dims", AttrKind::Dims, "The shape.").or(AttrDefault::NoDims),
        ];
        SPECS
    }
    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let mut ty = written_type(cx.attrs);
        let shape = ty.shape.get_or_insert_default();
        let value = cx
            .attrs
            .get("value")
            .ok_or_else(|| TypeError::new("`value` is missing"))?;
        let list = matches!(value, crate::Attr::Ints(_) | crate::Attr::Floats(_));
        if list {
            let count = numbers(value).map_or(0, |v| v.len() as u64);
            let elements = shape
                .iter()
                .try_fold(1u64, |n, d| n.checked_mul(d.known()?));
            if elements != Some(count) {
                let dims: &[Dim] = shape;
                return Err(TypeError::new(format!(
                    "{count} values do not fill {dims:?}"
                )));
            }
        }
        Ok(smallvec![ty])
    }
    fn example(&self) -> Option<&'static str> {
        Some("{dtype=f32, value=0.5, dims=dims[2, 3]}")
    }
    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }
    fn purity(&self) -> Purity {
        Purity::Source
    }
}

/// An op that this program does not know.
struct Custom;

impl Op for Custom {
    fn name(&self) -> &'static str {
        CUSTOM
    }
    fn doc(&self) -> &'static str {
        "An op that no registry knew when the model was read. It survives every rewrite, is never \
         shared, batched or dropped, and no engine runs it."
    }
    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::variadic("operands")] }
    }
    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[
            AttrSpec::required("op", AttrKind::Str, "Its name where it comes from."),
            AttrSpec::optional("results", AttrKind::Int, "How many results it has.")
                .or(AttrDefault::Int(1)),
        ];
        SPECS
    }
    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let count = cx.attrs.int("results").unwrap_or(1);
        let count = usize::try_from(count).ok().filter(|c| *c <= 1024);
        let count = count.ok_or_else(|| TypeError::new("`results` must lie between 0 and 1024"))?;
        Ok((0..count).map(|_| TensorType::unknown()).collect())
    }
    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        None
    }
    fn purity(&self) -> Purity {
        Purity::Opaque
    }
}
