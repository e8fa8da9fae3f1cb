//! Ops that draw from streams.

mod bernoulli;
mod dropout;
mod normal;
mod uniform;

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Infer, OpRegistry, RegisterError, TensorType, TypeError, Types,
};

use crate::expect::{integers, scalars};
use crate::infer::dims_attr;

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(dropout::Dropout)?;
    registry.register(bernoulli::Bernoulli)?;
    registry.register(uniform::Uniform)?;
    registry.register(normal::Normal)
}

const STREAM: AttrSpec = AttrSpec::required("stream", AttrKind::Stream, "Where it draws from.");

/// The attributes of ops that draw floats.
const DRAWN: &[AttrSpec] = &[
    STREAM,
    AttrSpec::required("dtype", AttrKind::DType, "The element type, a float."),
    AttrSpec::required("dims", AttrKind::Dims, "The dims of the result."),
];

/// The type of floats that are drawn at a step.
fn drawn(cx: &Infer<'_>) -> Result<Types, TypeError> {
    integers(cx, 0)?;
    scalars(cx, [0])?;
    let dtype = cx.attrs.dtype("dtype");
    if let Some(dtype) = dtype.filter(|d| !d.is_float()) {
        let message = format!("`dtype` must be a float, not {dtype}");
        return Err(TypeError::new(message));
    }
    let shape = Some(dims_attr(cx, "dims")?.into());
    Ok(smallvec![TensorType { dtype, shape }])
}
