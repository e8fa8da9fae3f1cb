//! Ops that move, repeat or cut elements without computing with them.

mod concat;
mod expand;
mod flatten;
mod iota;
mod pad;
mod reshape;
mod slice;
mod squeeze;
mod sum_to;
mod transpose;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(reshape::Reshape)?;
    registry.register(transpose::Transpose)?;
    registry.register(expand::Expand)?;
    registry.register(sum_to::SumTo)?;
    registry.register(concat::Concat)?;
    registry.register(slice::Slice)?;
    registry.register(slice::SliceGrad)?;
    registry.register(pad::Pad)?;
    registry.register(iota::Iota)?;
    registry.register(flatten::Flatten)?;
    registry.register(squeeze::Squeeze)?;
    registry.register(squeeze::Unsqueeze)
}
