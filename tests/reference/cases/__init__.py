"""The cases, one file a family of ops."""

from cases import (
    activation,
    convolve,
    elementwise,
    indexing,
    losses,
    normalize,
    optimize,
    pool,
    product,
    random,
    reduce,
    shape,
)

FAMILIES = {
    "elementwise": elementwise.record,
    "activation": activation.record,
    "shape": shape.record,
    "reduce": reduce.record,
    "product": product.record,
    "convolve": convolve.record,
    "pool": pool.record,
    "normalize": normalize.record,
    "losses": losses.record,
    "optimize": optimize.record,
    "indexing": indexing.record,
    "random": random.record,
}
