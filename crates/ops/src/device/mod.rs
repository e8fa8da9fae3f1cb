//! Moving values between devices.

mod to_device;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(to_device::ToDevice)
}
