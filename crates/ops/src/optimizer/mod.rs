//! Optimizer updates: pure functions of the parameter, its gradient, the optimizer's slots and
//! coefficients that the host computes from the evaluator.

mod adam;
mod sgd;
mod sgd_momentum;

use syncarp_ir::{DType, Infer, OpRegistry, RegisterError, Shape, TypeError};

use crate::expect::{floats, scalars};
use crate::infer::one_shape;

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(sgd::Sgd)?;
    registry.register(sgd_momentum::SgdMomentum)?;
    registry.register(adam::Adam)
}

/// Demands that the first operands have one shape, all others are scalars, and all one dtype.
fn update(cx: &Infer<'_>, tensors: usize) -> Result<(Option<DType>, Option<Shape>), TypeError> {
    let count = cx.operands.len();
    let all: Vec<usize> = (0..count).collect();
    let dtype = floats(cx, &all)?;
    scalars(cx, tensors..count)?;
    Ok((dtype, one_shape(cx, 0..tensors)?))
}
