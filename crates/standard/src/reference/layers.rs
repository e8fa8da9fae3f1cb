//! The layers of sweeps.

use syncarp_frontend::LayerRegistry;

use super::generated;

/// The page of all layers, in Markdown.
pub fn layers_page(layers: &LayerRegistry) -> String {
    generated("") + INTRODUCTION + &layers.describe()
}

const INTRODUCTION: &str = "# Layers

What [lists of layers](reference-sweep.md#layers) in a sweep are made of, and what a model in NNI's format may hold.

The argument that may stand without its name is the first one, in bold. [Initialisers](reference-sweep.md#initialisers)
says what `init` takes. Axis 0 is the batch. Case, `-` and `_` do not count in names: `leaky-relu` is also `LeakyReLU`.

";
