//! Ops that slide a window over images: convolutions and pooling.

mod adaptive_avg_pool2d;
mod avg_pool2d;
mod conv1d;
mod conv2d;
mod max_pool2d;
#[cfg(test)]
mod testing;
mod window;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(conv2d::Conv2d)?;
    registry.register(conv2d::Conv2dGradInput)?;
    registry.register(conv2d::Conv2dGradWeight)?;
    registry.register(conv1d::Conv1d)?;
    registry.register(max_pool2d::MaxPool2d)?;
    registry.register(max_pool2d::MaxPool2dGrad)?;
    registry.register(avg_pool2d::AvgPool2d)?;
    registry.register(avg_pool2d::AvgPool2dGrad)?;
    registry.register(adaptive_avg_pool2d::AdaptiveAvgPool2d)?;
    registry.register(adaptive_avg_pool2d::AdaptiveAvgPool2dGrad)
}
