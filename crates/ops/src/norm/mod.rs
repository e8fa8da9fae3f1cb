//! Normalisations.

mod batch_norm_eval;
mod batch_norm_train;
mod group_norm;
mod grouped;
mod instance_norm;
mod layer_norm;
mod rms_norm;

use syncarp_ir::{Dim, OpRegistry, RegisterError, Shape};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(batch_norm_train::BatchNormTrain)?;
    registry.register(batch_norm_train::BatchNormGrad)?;
    registry.register(batch_norm_eval::BatchNormEval)?;
    registry.register(layer_norm::LayerNorm)?;
    registry.register(layer_norm::LayerNormGrad)?;
    registry.register(group_norm::GroupNorm)?;
    registry.register(instance_norm::InstanceNorm)?;
    registry.register(rms_norm::RmsNorm)
}

/// The dims with which a vector of channels broadcasts against dims [n, c, ...]: [c, 1, ...].
fn beside_channels(channels: &Dim, rank: usize) -> Shape {
    let ones = rank.saturating_sub(2);
    [channels.clone()]
        .into_iter()
        .chain((0..ones).map(|_| Dim::Known(1)))
        .collect()
}
