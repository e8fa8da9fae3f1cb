//! The kernel of `stop_gradient`: what it stops is gone by the time that anything runs.

use super::elementwise::same_length;
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<StopGradient>()
}

struct StopGradient;

impl Kernel for StopGradient {
    const OP: &'static str = "stop_gradient";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        Ok(match Class::of(spec.results[0].dtype) {
            Class::Real => Prepared::new(|io| io.out(0).copy_from_slice(io.real(0))),
            Class::Int => Prepared::new(|io| io.out_int(0).copy_from_slice(io.int(0))),
            Class::Bool => Prepared::new(|io| io.out_bool(0).copy_from_slice(io.bool(0))),
        })
    }
}
