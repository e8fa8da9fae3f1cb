"""Activations: their whole range, their corners and very large operands."""

import torch
import torch.nn.functional as F

from corpus import floats

def hardsigmoid(x):
    """PyTorch's own gradient of it multiplies by a sixth that was rounded to float32, whatever the
    dtype: its parts are exact."""
    y = F.relu6(x + 3.0) / 6.0
    assert torch.allclose(y, F.hardsigmoid(x), rtol=1e-14, atol=0.0)
    return y


# Attributes in the text, constants after the operand, function.
PLAIN = {
    "gelu": ("", {}, F.gelu),
    "gelu tanh": (' {approximate="tanh"}', {}, lambda x: F.gelu(x, approximate="tanh")),
    "gelu none": (' {approximate="none"}', {}, F.gelu),
    "silu": ("", {}, F.silu),
    "mish": ("", {}, F.mish),
    "selu": ("", {}, F.selu),
    "relu6": ("", {}, F.relu6),
    "hardsigmoid": ("", {}, hardsigmoid),
    "hardswish": ("", {}, F.hardswish),
    "softsign": ("", {}, F.softsign),
    "logsigmoid": ("", {}, F.logsigmoid),
    "elu": ("", {"alpha": 1.0}, F.elu),
    "elu alpha": ("", {"alpha": 0.625}, lambda x: F.elu(x, 0.625)),
    "leaky_relu": ("", {"slope": 0.0625}, lambda x: F.leaky_relu(x, 0.0625)),
    "leaky_relu negative": ("", {"slope": -0.5}, lambda x: F.leaky_relu(x, -0.5)),
    "softplus": ("", {"beta": 1.0}, F.softplus),
    "softplus beta": ("", {"beta": 2.5}, lambda x: F.softplus(x, beta=2.5)),
    "softplus threshold": (
        "", {"beta": 1.5, "threshold": 3.0}, lambda x: F.softplus(x, beta=1.5, threshold=3.0),
    ),
    "hardtanh": ("", {"low": -1.0, "high": 1.0}, F.hardtanh),
    "hardtanh bounds": ("", {"low": -0.5, "high": 2.0}, lambda x: F.hardtanh(x, -0.5, 2.0)),
    "clamp": ("", {"low": -0.75, "high": 1.25}, lambda x: torch.clamp(x, -0.75, 1.25)),
}

# Where each activation bends or switches formula; -0 is there since its sign must not matter.
BENDS = [-3.0, -1.0, -0.75, -0.5, -0.0, 0.0, 1.0, 1.25, 2.0, 3.0, 6.0]
LARGE = [-10000.0, -745.0, -200.0, -50.0, -25.0, -12.0, 12.0, 25.0, 50.0, 200.0, 745.0, 10000.0]


def record(corpus):
    for key, (attributes, constants, function) in PLAIN.items():
        op, _, variant = key.partition(" ")
        what = lambda text: f"{variant}, {text}" if variant else text
        graph = f"y = {op} {', '.join(['x', *constants])}{attributes}"
        call = lambda x: function(x)
        draw = corpus.draw(op, what("a matrix"))
        x = draw.floats(6, 5, low=-4.0, high=4.0)
        corpus.add(op, what("a matrix"), graph, {"x": x}, call, constants=constants,
                   dims={"x": "n, 5"})
        draw = corpus.draw(op, what("four dims"))
        x = draw.floats(2, 3, 2, 3, low=-8.0, high=8.0)
        corpus.add(op, what("four dims"), graph, {"x": x}, call, constants=constants)
        corpus.add(op, what("bends"), graph, {"x": floats(BENDS)}, call, constants=constants,
                   kinks=True)
        corpus.add(op, what("large"), graph, {"x": floats(LARGE)}, call, constants=constants)
    learned(corpus)
    prelu(corpus)


def learned(corpus):
    """Numbers that are operands have gradients like any other."""
    cases = [
        ("leaky_relu", {"slope": floats(0.25)}, lambda x, slope: torch.where(x > 0, x, slope * x)),
        ("elu", {"alpha": floats(0.75)},
         lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0.0)))),
        ("softplus", {"beta": floats(1.5)},
         lambda x, beta: torch.log1p(torch.exp(beta * x)) / beta),
        ("clamp", {"low": floats(-0.75), "high": floats(0.8125)}, torch.clamp),
        ("hardtanh", {"low": floats(-0.75), "high": floats(0.8125)}, torch.clamp),
    ]
    for op, numbers, function in cases:
        x = corpus.draw(op, "learned").floats(4, 3)
        call = lambda x, *numbers: function(x, *numbers)
        graph = f"y = {op} {', '.join(['x', *numbers])}"
        corpus.add(op, "learned", graph, {"x": x, **numbers}, call)
    draw = corpus.draw("leaky_relu", "a slope for each column")
    inputs = {"x": draw.floats(4, 3), "slope": draw.floats(3)}
    call = lambda x, slope: torch.where(x > 0, x, slope * x)
    corpus.add("leaky_relu", "a slope for each column", "y = leaky_relu x, slope", inputs, call,
               dims={"x": "n, 3"})


def prelu(corpus):
    shapes = [
        ("one weight", (4, 3), 1, None),
        ("a weight for each column", (4, 3), 3, {"x": "n, 3"}),
        ("channels", (2, 3, 2), 3, None),
        ("images", (2, 3, 2, 5), 3, {"x": "n, 3, h, 5"}),
    ]
    for what, shape, count, dims in shapes:
        draw = corpus.draw("prelu", what)
        inputs = {"x": draw.floats(*shape), "w": draw.floats(count)}
        call = lambda x, w: F.prelu(x, w)
        corpus.add("prelu", what, "y = prelu x, w", inputs, call, dims=dims)
    inputs = {"x": floats([[0.0, 0.0], [-1.0, 1000.0]]), "w": floats([0.25, -0.5])}
    corpus.add("prelu", "zeros", "y = prelu x, w", inputs, lambda x, w: F.prelu(x, w), kinks=True)
