"""Losses and what measures them."""

import torch
import torch.nn.functional as F

from corpus import floats


def record(corpus):
    cross_entropy(corpus)
    nll(corpus)
    regression(corpus)
    correct(corpus)


def cross_entropy(corpus):
    for what, shape, smoothing, dims in (
        ("a matrix", (5, 4), 0.0, ("n, 4", "n")),
        ("label smoothing", (5, 4), 0.1, ("n, 4", "n")),
        ("all smoothing", (3, 4), 1.0, ("n, 4", "n")),
        ("sequences", (2, 3, 4), 0.0, ("n, 3, 4", "n, 4")),
        ("images, label smoothing", (2, 3, 2, 3), 0.25, ("n, 3, 2, 3", "n, 2, 3")),
        ("two classes", (4, 2), 0.0, ("n, 2", "n")),
        ("one row", (1, 7), 0.0, None),
        ("one class", (3, 1), 0.0, None),
        ("many classes", (3, 37), 0.0, ("n, 37", "n")),
    ):
        draw = corpus.draw("cross_entropy", what)
        x = draw.floats(*shape)
        inputs = {"x": x, "t": draw.ints(shape[1], shape[0], *shape[2:])}
        attributes = f" {{label_smoothing={smoothing}}}" if smoothing else ""
        graph = f"loss, log_probs = cross_entropy x, t{attributes}"
        call = lambda x, t: (
            F.cross_entropy(x, t, label_smoothing=smoothing), F.log_softmax(x, 1).detach()
        )
        corpus.add("cross_entropy", what, graph, inputs, call, results=("loss", "log_probs"),
                   dims=dict(zip("xt", dims)) if dims else None)
    large = floats([[1000.0, 0.0, -1000.0], [-800.0, 800.0, 0.0]])
    inputs = {"x": large, "t": torch.tensor([0, 2])}
    corpus.add("cross_entropy", "large", "loss, log_probs = cross_entropy x, t", inputs,
               lambda x, t: (F.cross_entropy(x, t), F.log_softmax(x, 1).detach()),
               results=("loss", "log_probs"))


def nll(corpus):
    for what, shape, dims in (
        ("a matrix", (5, 3), ("n, 3", "n")),
        ("sequences", (2, 3, 4), ("n, 3, 4", "n, 4")),
        ("one row", (1, 3), None),
    ):
        draw = corpus.draw("nll_loss", what)
        inputs = {"x": draw.floats(*shape), "t": draw.ints(shape[1], shape[0], *shape[2:])}
        call = lambda x, t: F.nll_loss(x, t)
        corpus.add("nll_loss", what, "y = nll_loss x, t", inputs, call,
                   dims=dict(zip("xt", dims)) if dims else None)
    draw = corpus.draw("nll_loss", "after log_softmax")
    inputs = {"x": draw.floats(4, 3), "t": draw.ints(3, 4)}
    graph = "l = log_softmax x {axis=1}\ny = nll_loss l, t"
    corpus.add("nll_loss", "after log_softmax", graph, inputs,
               lambda x, t: F.cross_entropy(x, t), dims={"x": "n, 3", "t": "n"})


def regression(corpus):
    losses = {
        "mse_loss": ({}, F.mse_loss),
        "l1_loss": ({}, F.l1_loss),
        "huber_loss": ({"delta": 1.0}, F.huber_loss),
        "huber_loss delta": ({"delta": 0.375}, lambda a, b: F.huber_loss(a, b, delta=0.375)),
    }
    for key, (constants, function) in losses.items():
        op, _, variant = key.partition(" ")
        prefix = f"{variant}, " if variant else ""
        graph = f"y = {op} {', '.join(['a', 'b', *constants])}"
        call = lambda a, b: function(a, b)
        for what, shape, dims in (
            ("a matrix", (4, 3), "n, 3"),
            ("a vector", (7,), "n"),
            ("images", (2, 2, 3, 2), "n, 2, 3, 2"),
            ("a scalar", (), ""),
        ):
            draw = corpus.draw(op, prefix + what)
            # Apart by an odd number of half steps, so that no two elements are equal.
            inputs = {"a": draw.floats(*shape), "b": draw.floats(*shape) + 0.0078125}
            corpus.add(op, prefix + what, graph, inputs, call, constants=constants,
                       dims={"a": dims, "b": dims})
        equal = {"a": floats([1.0, 2.0, -0.625, 3.0]), "b": floats([1.0, 1.0, -1.0, 3.375])}
        corpus.add(op, prefix + "bends", graph, equal, call, constants=constants, kinks=True)
    for what, shape, low, high in (
        ("a matrix", (4, 3), -3.0, 3.0), ("a vector", (9,), -3.0, 3.0),
        ("large", (2, 5), -2048.0, 2048.0),
    ):
        draw = corpus.draw("bce_with_logits", what)
        dims = "n, " + ", ".join(str(d) for d in shape[1:]) if shape[1:] else "n"
        inputs = {
            "x": draw.floats(*shape, low=low, high=high), "t": draw.floats(*shape, low=0.0, high=1.0),
        }
        call = lambda x, t: F.binary_cross_entropy_with_logits(x, t)
        corpus.add("bce_with_logits", what, "y = bce_with_logits x, t", inputs, call,
                   dims={"x": dims, "t": dims})
    inputs = {"x": floats([0.0, -0.0, 100.0, -100.0]), "t": floats([1.0, 0.0, 1.0, 1.0])}
    corpus.add("bce_with_logits", "hard targets", "y = bce_with_logits x, t", inputs,
               lambda x, t: F.binary_cross_entropy_with_logits(x, t), kinks=True)


def correct(corpus):
    for what, shape in (("a matrix", (7, 3)), ("two classes", (5, 2)), ("one row", (1, 4))):
        draw = corpus.draw("correct", what)
        inputs = {"x": draw.floats(*shape), "t": draw.ints(shape[1], shape[0])}
        call = lambda x, t: (x.argmax(1) == t).double().sum()
        corpus.add("correct", what, "y = correct x, t", inputs, call, fixed=("x",),
                   dims={"x": f"n, {shape[1]}", "t": "n"})
    tied = {"x": floats([[1.0, 1.0], [2.0, 2.0]]), "t": torch.tensor([0, 1])}
    corpus.add("correct", "ties", "y = correct x, t", tied,
               lambda x, t: (x.argmax(1) == t).double().sum(), fixed=("x",))
