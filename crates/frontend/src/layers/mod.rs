//! The standard layers: one file a family, registered by one line each.

mod activation;
mod attention;
mod conv;
mod embedding;
mod image;
mod linear;
mod norm;
mod pool;
mod reduce;
mod regular;
mod shape;

use crate::registry::{Argument, LayerError, LayerRegistry, Only};

/// The argument by which parameters are initialised otherwise.
const INIT: Argument = Argument::optional(
    &["init"],
    "as PyTorch's",
    "Initialisers by parameter, such as `{ weight = \"kaiming-normal\", bias = \"zeros\" }`; one \
     alone is for the weight.",
);

const BIAS: Argument = Argument::optional(&["bias"], "true", "Whether a learned bias is added.");

// What PyTorch's modules have beyond, and what it must be here.

const INPLACE: Argument = Argument::only(
    &["inplace"],
    Only::Anything,
    "Where a result lies in memory is planned by the engine.",
);
const DEVICE: Argument = Argument::only(
    &["device"],
    Only::Nothing,
    "placement decides where a model runs; leave `device` out",
);
const DTYPE: Argument = Argument::only(
    &["dtype"],
    Only::Nothing,
    "the data decide the element type; leave `dtype` out",
);

pub(crate) fn register(layers: &mut LayerRegistry) -> Result<(), LayerError> {
    layers.register_family("Fully connected", |layers| layers.register(linear::LINEAR))?;
    layers.register_family("Convolutions", |layers| {
        layers.register(conv::CONV2D)?;
        layers.register(conv::CONV1D)
    })?;
    layers.register_family("Activations", activation::register)?;
    layers.register_family("Normalisation", |layers| {
        layers.register(norm::BATCH)?;
        layers.register(norm::LAYER)?;
        layers.register(norm::GROUP)?;
        layers.register(norm::INSTANCE)
    })?;
    layers.register_family("Regularisation", |layers| layers.register(regular::DROPOUT))?;
    layers.register_family("Pooling", |layers| {
        layers.register(pool::MAX)?;
        layers.register(pool::AVERAGE)?;
        layers.register(pool::ADAPTIVE_AVERAGE)?;
        layers.register(pool::GLOBAL_AVERAGE)
    })?;
    layers.register_family("Larger images", |layers| {
        layers.register(image::UPSAMPLE)?;
        layers.register(image::ZERO_PAD)
    })?;
    layers.register_family("Shapes and types", |layers| {
        layers.register(shape::IDENTITY)?;
        layers.register(shape::FLATTEN)?;
        layers.register(shape::UNFLATTEN)?;
        layers.register(shape::RESHAPE)?;
        layers.register(shape::PERMUTE)?;
        layers.register(shape::CAST)
    })?;
    layers.register_family("Along axes", |layers| {
        layers.register(reduce::MEAN)?;
        layers.register(reduce::SOFTMAX)?;
        layers.register(reduce::LOG_SOFTMAX)
    })?;
    layers.register_family("Embeddings", |layers| layers.register(embedding::EMBEDDING))?;
    layers.register_family("Attention", |layers| layers.register(attention::ATTENTION))
}
