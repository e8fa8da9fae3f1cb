//! Ops that work element by element, broadcasting as NumPy does where they have several operands.

mod acos;
mod acosh;
mod activation;
mod asin;
mod asinh;
mod atan;
mod atan2;
mod atanh;
mod binary;
mod cast;
mod compare;
mod cosh;
mod fmod;
mod grads;
mod is_inf;
mod is_nan;
mod logical_xor;
mod remainder;
mod select;
mod sinh;
mod smooth;
mod stop_gradient;
mod tan;
#[cfg(test)]
mod tests;
mod trunc;
mod unary;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    unary::register(registry)?;
    binary::register(registry)?;
    compare::register(registry)?;
    registry.register(select::Where)?;
    registry.register(cast::Cast)?;
    grads::register(registry)?;
    smooth::register(registry)?;
    activation::register(registry)?;
    registry.register(&tan::OP)?;
    registry.register(&asin::OP)?;
    registry.register(&acos::OP)?;
    registry.register(&atan::OP)?;
    registry.register(&sinh::OP)?;
    registry.register(&cosh::OP)?;
    registry.register(&asinh::OP)?;
    registry.register(&acosh::OP)?;
    registry.register(&atanh::OP)?;
    registry.register(&trunc::OP)?;
    registry.register(&stop_gradient::OP)?;
    registry.register(&remainder::OP)?;
    registry.register(&fmod::OP)?;
    registry.register(&atan2::OP)?;
    registry.register(&is_nan::OP)?;
    registry.register(&logical_xor::OP)?;
    registry.register(is_inf::IsInf)
}
