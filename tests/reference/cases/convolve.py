"""Convolutions."""

import torch.nn.functional as F

# Dims of x, of the weight, and what differs from stride 1, no padding, dilation 1, one group.
CONV2D = [
    ("plain", (2, 3, 5, 6), (4, 3, 3, 3), {}),
    ("one by one", (2, 3, 4, 4), (5, 3, 1, 1), {}),
    ("padding", (2, 2, 5, 5), (3, 2, 3, 3), {"padding": (1, 1)}),
    ("stride", (2, 2, 7, 6), (3, 2, 3, 3), {"stride": (2, 2)}),
    ("stride that leaves a rest", (1, 2, 8, 8), (2, 2, 3, 3), {"stride": (2, 3)}),
    ("stride, padding", (2, 3, 7, 7), (4, 3, 3, 3), {"stride": (2, 2), "padding": (1, 1)}),
    ("dilation", (1, 2, 8, 7), (2, 2, 3, 3), {"dilation": (2, 2)}),
    ("dilation, padding", (1, 2, 6, 6), (2, 2, 3, 3), {"dilation": (2, 1), "padding": (2, 1)}),
    ("a wide kernel", (2, 2, 4, 9), (3, 2, 2, 5), {"padding": (0, 2)}),
    ("a tall kernel", (1, 2, 9, 4), (2, 2, 5, 1), {"stride": (3, 1), "padding": (2, 0)}),
    ("an even kernel", (2, 1, 6, 6), (2, 1, 2, 2), {"stride": (2, 2)}),
    ("two groups", (2, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": (1, 1)}),
    ("a group for each channel", (2, 3, 5, 6), (3, 1, 3, 3), {"groups": 3, "padding": (1, 1)}),
    ("two results for each channel", (1, 3, 5, 5), (6, 1, 3, 3), {"groups": 3, "stride": (2, 2)}),
    ("everything", (2, 4, 9, 8), (4, 2, 3, 2),
     {"stride": (2, 1), "padding": (2, 1), "dilation": (2, 3), "groups": 2}),
    ("padding wider than the kernel", (1, 1, 3, 3), (2, 1, 2, 2), {"padding": (3, 3)}),
    ("a kernel as large as the image", (3, 2, 4, 4), (5, 2, 4, 4), {}),
    ("small images", (2, 4, 8, 8), (8, 4, 3, 3), {"padding": (1, 1)}),
    ("a large kernel", (1, 1, 9, 9), (2, 1, 7, 7), {"stride": (2, 2), "padding": (3, 3)}),
    ("no images", (0, 2, 4, 4), (3, 2, 3, 3), {}),
]

CONV1D = [
    ("plain", (2, 3, 7), (4, 3, 3), {}),
    ("stride, padding", (2, 2, 9), (3, 2, 4), {"stride": 3, "padding": 2}),
    ("dilation", (1, 2, 9), (2, 2, 3), {"dilation": 3, "padding": 1}),
    ("groups", (2, 4, 6), (4, 2, 3), {"groups": 2, "padding": 1}),
    ("one by one", (3, 2, 5), (3, 2, 1), {}),
]


def attributes(options, two):
    parts = []
    for key, value in options.items():
        if key == "groups":
            parts.append(f"groups={value}")
        else:
            parts.append(f"{key}={list(value) if two else [value]}")
    return f" {{{', '.join(parts)}}}" if parts else ""


def record(corpus):
    for op, function, cases in (("conv2d", F.conv2d, CONV2D), ("conv1d", F.conv1d, CONV1D)):
        two = op == "conv2d"
        for what, x, weight, options in cases:
            for bias in (True, False):
                if not bias and what not in ("plain", "everything", "two groups", "groups"):
                    continue
                name = what if bias else f"{what}, without bias"
                draw = corpus.draw(op, name)
                inputs = {"x": draw.floats(*x), "w": draw.floats(*weight, low=-1.0, high=1.0)}
                if bias:
                    inputs["b"] = draw.floats(weight[0])
                graph = f"y = {op} {', '.join(inputs)}{attributes(options, two)}"
                call = lambda x, w, b=None: function(x, w, b, **options)
                text = ", ".join(["n", *(str(d) for d in x[1:])])
                corpus.add(op, name, graph, inputs, call, dims={"x": text})
    symbols(corpus)


def symbols(corpus):
    """Images whose sizes are symbols until they are there."""
    for what, options in (
        ("symbolic sizes", {"padding": (1, 1)}),
        ("symbolic sizes, stride", {"stride": (2, 2), "padding": (1, 1)}),
    ):
        draw = corpus.draw("conv2d", what)
        inputs = {"x": draw.floats(2, 2, 6, 5), "w": draw.floats(3, 2, 3, 3)}
        call = lambda x, w: F.conv2d(x, w, **options)
        graph = f"y = conv2d x, w{attributes(options, True)}"
        corpus.add("conv2d", what, graph, inputs, call, dims={"x": "n, 2, h, w"})
    draw = corpus.draw("conv2d", "two in a row")
    inputs = {
        "x": draw.floats(2, 1, 6, 6),
        "v": draw.floats(3, 1, 3, 3, low=-0.5, high=0.5),
        "w": draw.floats(2, 3, 3, 3, low=-0.5, high=0.5),
    }
    graph = "t = conv2d x, v {padding=[1, 1]}\nu = tanh t\ny = conv2d u, w {stride=[2, 2]}"
    call = lambda x, v, w: F.conv2d(F.conv2d(x, v, padding=1).tanh(), w, stride=2)
    corpus.add("conv2d", "two in a row", graph, inputs, call, dims={"x": "n, 1, 6, 6"})
