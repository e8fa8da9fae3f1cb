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
mod tile;
mod transpose;
mod unsqueeze;

use smallvec::smallvec;
use syncarp_ir::{BuildError, Expand, OpRegistry, RegisterError, Values};

use crate::emit::Emit;

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
    registry.register(unsqueeze::Unsqueeze)?;
    registry.register(tile::Tile)
}

/// The result's shape by a `reshape`.
fn reshaped(cx: &mut Expand<'_>, op: &str) -> Result<Values, BuildError> {
    let Some(shape) = cx.types.first().and_then(|t| t.shape.clone()) else {
        return Err(BuildError::Invalid {
            op: op.to_owned(),
            message: "the rank of x must be known here; bind the graph's inputs first".to_owned(),
        });
    };
    Ok(smallvec![cx.b.reshape_to(cx.operands[0], &shape)?])
}
