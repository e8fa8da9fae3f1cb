//! Ops that slide a window over images: convolutions and pooling.

mod adaptive_pool;
mod avg_pool;
mod conv1d;
mod conv2d;
mod max_pool;
#[cfg(test)]
mod testing;
mod window;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(conv2d::Conv2d)?;
    registry.register(conv2d::Conv2dGradInput)?;
    registry.register(conv2d::Conv2dGradWeight)?;
    registry.register(conv1d::Conv1d)?;
    registry.register(max_pool::MaxPool2d)?;
    registry.register(max_pool::MaxPool2dGrad)?;
    registry.register(avg_pool::AvgPool2d)?;
    registry.register(avg_pool::AvgPool2dGrad)?;
    registry.register(adaptive_pool::AdaptiveAvgPool2d)?;
    registry.register(adaptive_pool::AdaptiveAvgPool2dGrad)
}
