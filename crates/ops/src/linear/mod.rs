//! Products with parameters and between values.

mod det;
mod einsum;
mod embedding;
mod equation;
#[allow(clippy::module_inception)]
mod linear;
mod matmul;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(linear::Linear)?;
    registry.register(matmul::MatMul)?;
    registry.register(embedding::Embedding)?;
    registry.register(embedding::EmbeddingGrad)?;
    registry.register(einsum::Einsum)?;
    registry.register(det::Det)?;
    registry.register(det::DetGrad)
}
