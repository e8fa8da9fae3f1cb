"""Pooling."""

import torch.nn.functional as F

from corpus import floats

MAX = [
    ("plain", (2, 3, 6, 4), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ("overlapping", (2, 2, 5, 5), (3, 3), (1, 1), (0, 0), (1, 1), False),
    ("a rest is dropped", (1, 2, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ("a rest is kept", (1, 2, 7, 5), (2, 2), (2, 2), (0, 0), (1, 1), True),
    ("padding", (2, 2, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ("padding, a rest is kept", (1, 2, 6, 7), (3, 3), (2, 2), (1, 1), (1, 1), True),
    ("a window that would begin in the padding", (1, 1, 5, 5), (2, 2), (3, 3), (1, 1), (1, 1), True),
    ("dilation", (1, 2, 8, 7), (2, 3), (1, 2), (1, 1), (3, 2), False),
    ("dilation, a rest is kept", (1, 1, 9, 8), (2, 2), (3, 2), (0, 1), (2, 2), True),
    ("asymmetric", (2, 1, 5, 8), (1, 3), (2, 1), (0, 1), (1, 1), False),
    ("strides wider than the window", (1, 2, 7, 7), (2, 2), (3, 3), (0, 0), (1, 1), False),
    ("the whole image", (2, 3, 4, 4), (4, 4), (4, 4), (0, 0), (1, 1), False),
]

# Dims, kernel, stride, padding, whether rests are kept, whether padding counts.
AVERAGE = [
    ("plain", (2, 3, 6, 4), (2, 2), (2, 2), (0, 0), False, True),
    ("overlapping", (2, 2, 5, 5), (3, 3), (1, 1), (0, 0), False, True),
    ("padding counts", (2, 2, 6, 7), (3, 3), (2, 2), (1, 1), False, True),
    ("padding does not count", (2, 2, 6, 7), (3, 3), (2, 2), (1, 1), False, False),
    ("a rest is kept", (1, 2, 7, 5), (2, 2), (2, 2), (0, 0), True, True),
    ("a rest is kept, padding counts", (1, 2, 6, 7), (3, 3), (2, 2), (1, 1), True, True),
    ("a rest is kept, padding does not count", (1, 2, 6, 7), (3, 3), (2, 2), (1, 1), True, False),
    ("a window that would begin in the padding", (1, 1, 5, 5), (2, 2), (3, 3), (1, 1), True, True),
    ("asymmetric", (2, 1, 5, 8), (1, 3), (2, 1), (0, 1), False, True),
    ("the whole image", (2, 3, 4, 4), (4, 4), (4, 4), (0, 0), False, True),
]

ADAPTIVE = [
    ("to one", (2, 3, 4, 5), (1, 1)),
    ("even", (2, 2, 6, 4), (3, 2)),
    ("uneven", (2, 2, 7, 5), (3, 2)),
    ("larger than the image", (1, 2, 3, 2), (5, 3)),
    ("the same", (1, 2, 3, 4), (3, 4)),
    ("uneven in one", (1, 1, 10, 3), (4, 3)),
]


def truth(value):
    return str(value).lower()


def batch(dims):
    return {"x": ", ".join(["n", *(str(d) for d in dims[1:])])}


def record(corpus):
    maxima(corpus)
    averages(corpus)
    for what, dims, output in ADAPTIVE:
        x = corpus.draw("adaptive_avg_pool2d", what).floats(*dims)
        graph = f"y = adaptive_avg_pool2d x {{output={list(output)}}}"
        call = lambda x: F.adaptive_avg_pool2d(x, output)
        corpus.add("adaptive_avg_pool2d", what, graph, {"x": x}, call, dims=batch(dims))


def maxima(corpus):
    def case(what, x, kernel, stride, padding, dilation, ceil, dims, **flags):
        graph = (
            f"y, i = max_pool2d x {{kernel={list(kernel)}, stride={list(stride)}, "
            f"padding={list(padding)}, dilation={list(dilation)}, ceil_mode={truth(ceil)}}}"
        )
        call = lambda x: F.max_pool2d(
            x, kernel, stride, padding, dilation, ceil_mode=ceil, return_indices=True
        )
        corpus.add("max_pool2d", what, graph, {"x": x}, call, results=("y", "i"), dims=dims,
                   **flags)

    for what, dims, *options in MAX:
        x = corpus.draw("max_pool2d", what).floats(*dims)
        case(what, x, *options, batch(dims))
    one = (1, 1)
    tied = floats([[1.0, 1.0, 2.0], [1.0, 1.0, 2.0], [0.0, 2.0, 2.0]]).reshape(1, 1, 3, 3)
    case("ties", tied, (2, 2), one, (0, 0), one, False, None, kinks=True)
    below = -1000.0 * (1.0 + corpus.draw("max_pool2d", "padding is no element").positive(1, 2, 4, 4))
    case("padding is no element", below, (2, 2), (2, 2), one, one, False, None)
    nan = floats([[1.0, float("nan")], [3.0, 2.0]]).reshape(1, 1, 2, 2)
    case("not a number", nan, (2, 2), one, (0, 0), one, False, None, fixed=("x",))


def averages(corpus):
    for what, dims, kernel, stride, padding, ceil, count in AVERAGE:
        x = corpus.draw("avg_pool2d", what).floats(*dims)
        graph = (
            f"y = avg_pool2d x {{kernel={list(kernel)}, stride={list(stride)}, "
            f"padding={list(padding)}, ceil_mode={truth(ceil)}, "
            f"count_include_pad={truth(count)}}}"
        )
        call = lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, count)
        corpus.add("avg_pool2d", what, graph, {"x": x}, call, dims=batch(dims))
