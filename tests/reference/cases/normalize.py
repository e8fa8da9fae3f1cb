"""Normalisation, softmax, embedding and dropout."""

import torch
import torch.nn.functional as F

from corpus import floats

EPS = 1e-5


def record(corpus):
    batch_norm(corpus)
    layer_norm(corpus)
    rms_norm(corpus)
    group_norm(corpus)
    instance_norm(corpus)
    softmax(corpus)
    embedding(corpus)
    dropout(corpus)


def batch_norm(corpus):
    for what, shape, momentum, eps, dims in (
        ("a matrix", (6, 3), 0.1, EPS, "n, 3"),
        ("channels", (4, 3, 5), 0.1, EPS, "n, 3, 5"),
        ("images", (3, 2, 4, 3), 0.25, 1e-3, "n, 2, 4, 3"),
        ("no momentum", (5, 2), 0.0, EPS, "n, 2"),
        ("all momentum", (5, 2), 1.0, EPS, "n, 2"),
        ("symbolic sizes", (2, 3, 3, 2), 0.1, EPS, "n, 3, h, w"),
    ):
        draw = corpus.draw("batch_norm_train", what)
        channels = shape[1]
        inputs = statistics(draw, draw.floats(*shape), channels)
        graph = "y, mean1, var1, at, by = batch_norm_train x, gamma, beta, mean, var, eps, momentum"
        def call(x, gamma, beta, mean, var):
            return train_step(x, gamma, beta, mean, var, momentum, eps)
        corpus.add(
            "batch_norm_train", what, graph, inputs, call,
            constants={"eps": eps, "momentum": momentum},
            results=("y", "mean1", "var1", "at", "by"),
            fixed=("mean", "var"), unseen=("mean1", "var1", "at", "by"), dims={"x": dims},
        )
    steps(corpus)
    for what, shape, dims in (
        ("a matrix", (4, 3), "n, 3"),
        ("channels", (2, 3, 5), "n, 3, 5"),
        ("images", (2, 2, 3, 4), "n, 2, h, 4"),
    ):
        draw = corpus.draw("batch_norm_eval", what)
        inputs = statistics(draw, draw.floats(*shape), shape[1])
        graph = "y = batch_norm_eval x, gamma, beta, mean, var, eps"
        call = lambda x, gamma, beta, mean, var: F.batch_norm(x, mean, var, gamma, beta, False, 0.0, EPS)
        corpus.add("batch_norm_eval", what, graph, inputs, call, constants={"eps": EPS},
                   fixed=("mean", "var"), dims={"x": dims})


def statistics(draw, x, channels):
    return {
        "x": x,
        "gamma": draw.floats(channels),
        "beta": draw.floats(channels),
        "mean": draw.floats(channels),
        "var": draw.positive(channels),
    }


def train_step(x, gamma, beta, mean, var, momentum, eps):
    """One step: the result, the running statistics after it, the batch's mean and deviation."""
    mean, var = mean.detach().clone(), var.detach().clone()
    y = F.batch_norm(x, mean, var, gamma, beta, True, momentum, eps)
    axes = [a for a in range(x.dim()) if a != 1]
    batch = x.detach()
    inverse = 1.0 / torch.sqrt(torch.var(batch, axes, correction=0) + eps)
    return y, mean, var, batch.mean(axes), inverse


def steps(corpus):
    """Three batches in a row, each with the running statistics that the one before left."""
    draw = corpus.draw("batch_norm_train", "three steps")
    inputs = statistics(draw, draw.floats(5, 2), 2)
    inputs.update({"x2": draw.floats(5, 2) * 2.0 + 1.0, "x3": draw.floats(5, 2) - 3.0})
    graph = """
        y1, m1, v1, a1, b1 = batch_norm_train x, gamma, beta, mean, var, eps, momentum
        y2, m2, v2, a2, b2 = batch_norm_train x2, gamma, beta, m1, v1, eps, momentum
        y3, m3, v3, a3, b3 = batch_norm_train x3, gamma, beta, m2, v2, eps, momentum
    """

    def call(x, gamma, beta, mean, var, x2, x3):
        results = []
        for batch in (x, x2, x3):
            y, mean, var, *_ = train_step(batch, gamma, beta, mean, var, 0.1, EPS)
            results += [y, mean, var]
        return results

    seen = ("m1", "v1", "m2", "v2", "m3", "v3")
    corpus.add(
        "batch_norm_train", "three steps", graph, inputs, call,
        constants={"eps": EPS, "momentum": 0.1},
        results=("y1", "m1", "v1", "y2", "m2", "v2", "y3", "m3", "v3"),
        fixed=("mean", "var"), unseen=seen,
        dims={k: "n, 2" for k in ("x", "x2", "x3")},
    )


def layer_norm(corpus):
    for what, shape, axes, dims in (
        ("one dim", (5, 4), 1, "n, 4"),
        ("one of three dims", (3, 2, 5), 1, "n, 2, 5"),
        ("two dims", (3, 4, 5), 2, "n, 4, 5"),
        ("three dims", (2, 3, 2, 2), 3, "n, 3, 2, 2"),
        ("one element", (4, 1), 1, "n, 1"),
        ("odd size", (3, 19), 1, "n, 19"),
    ):
        draw = corpus.draw("layer_norm", what)
        inner = shape[-axes:]
        inputs = {
            "x": draw.floats(*shape), "gamma": draw.floats(*inner), "beta": draw.floats(*inner),
        }
        graph = f"y, at, by = layer_norm x, gamma, beta, eps {{axes={axes}}}"
        call = lambda x, gamma, beta: F.layer_norm(x, inner, gamma, beta, EPS)
        corpus.add("layer_norm", what, graph, inputs, call, constants={"eps": EPS},
                   dims={"x": dims})
    draw = corpus.draw("layer_norm", "far from zero")
    inputs = {
        "x": draw.floats(3, 8) + 512.0, "gamma": draw.floats(8), "beta": draw.floats(8),
    }
    graph = "y, at, by = layer_norm x, gamma, beta, eps {axes=1}"
    corpus.add("layer_norm", "far from zero", graph, inputs,
               lambda x, gamma, beta: F.layer_norm(x, (8,), gamma, beta, EPS),
               constants={"eps": EPS}, f32=1e-4)


def rms_norm(corpus):
    for what, shape, axes, dims in (
        ("one dim", (5, 4), 1, "n, 4"),
        ("one of three dims", (3, 2, 5), 1, "n, 2, 5"),
        ("two dims", (3, 4, 5), 2, "n, 4, 5"),
    ):
        draw = corpus.draw("rms_norm", what)
        inner = shape[-axes:]
        inputs = {"x": draw.floats(*shape), "gamma": draw.floats(*inner)}
        call = lambda x, gamma: F.rms_norm(x, inner, gamma, EPS)
        corpus.add("rms_norm", what, f"y = rms_norm x, gamma, eps {{axes={axes}}}", inputs, call,
                   constants={"eps": EPS}, dims={"x": dims})


def group_norm(corpus):
    for what, shape, groups, dims in (
        ("two groups", (3, 4, 3), 2, "n, 4, 3"),
        ("one group", (2, 3, 2, 2), 1, "n, 3, 2, 2"),
        ("a group for each channel", (2, 3, 4, 2), 3, "n, 3, 4, 2"),
        ("a matrix", (3, 6), 3, "n, 6"),
        ("symbolic sizes", (2, 4, 3, 2), 2, "n, 4, h, w"),
    ):
        draw = corpus.draw("group_norm", what)
        channels = shape[1]
        inputs = {
            "x": draw.floats(*shape), "gamma": draw.floats(channels), "beta": draw.floats(channels),
        }
        graph = f"y = group_norm x, gamma, beta, eps {{groups={groups}}}"
        call = lambda x, gamma, beta: F.group_norm(x, groups, gamma, beta, EPS)
        corpus.add("group_norm", what, graph, inputs, call, constants={"eps": EPS},
                   dims={"x": dims})


def instance_norm(corpus):
    for what, shape, dims in (
        ("sequences", (3, 2, 5), "n, 2, 5"),
        ("images", (2, 3, 3, 4), "n, 3, 3, 4"),
        ("symbolic sizes", (2, 2, 4, 3), "n, 2, h, w"),
    ):
        draw = corpus.draw("instance_norm", what)
        channels = shape[1]
        inputs = {
            "x": draw.floats(*shape), "gamma": draw.floats(channels), "beta": draw.floats(channels),
        }
        call = lambda x, gamma, beta: F.instance_norm(x, weight=gamma, bias=beta, eps=EPS)
        corpus.add("instance_norm", what, "y = instance_norm x, gamma, beta, eps", inputs, call,
                   constants={"eps": EPS}, dims={"x": dims})


def softmax(corpus):
    for op, function in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
        for what, axis, shape, dims in (
            ("columns", -1, (4, 5), "n, 5"),
            ("rows", 0, (4, 3), None),
            ("the middle", 1, (3, 4, 5), "n, 4, 5"),
            ("the first of three", 0, (4, 2, 3), None),
            ("the last of four", 3, (2, 2, 3, 7), "n, 2, 3, 7"),
            ("channels", -3, (2, 3, 2, 2), "n, 3, 2, 2"),
            ("one element", 1, (3, 1), "n, 1"),
            ("a vector", 0, (6,), None),
        ):
            x = corpus.draw(op, what).floats(*shape)
            call = lambda x: function(x, axis)
            corpus.add(op, what, f"y = {op} x {{axis={axis}}}", {"x": x}, call,
                       dims={"x": dims} if dims else None)
        large = floats([[1000.0, 0.0, -1000.0], [-1e4, -1e4, -1e4 + 1.0], [800.0, 800.0, 799.0]])
        call = lambda x: function(x, 1)
        corpus.add(op, "large", f"y = {op} x {{axis=1}}", {"x": large}, call, f32=1e-4)
        # Masked scores, as attention has them.
        low = float("-inf")
        masked = floats([[1.0, low, 2.0], [low, 0.5, low]])
        corpus.add(op, "masked", f"y = {op} x {{axis=1}}", {"x": masked}, call, fixed=("x",))


def embedding(corpus):
    for what, rows, width, index, dims in (
        ("a vector", 5, 3, [4, 0, 2, 1], "n"),
        ("repeated", 4, 2, [1, 1, 3, 1, 3, 0, 1], "n"),
        ("a matrix", 6, 4, [[0, 5, 2], [2, 2, 5]], "n, 3"),
        ("three dims", 3, 2, [[[0, 1], [2, 2]], [[1, 1], [0, 2]]], "n, 2, 2"),
        ("a scalar", 4, 3, 2, None),
        ("one row", 1, 3, [0, 0, 0], None),
        ("none", 3, 2, [], None),
    ):
        draw = corpus.draw("embedding", what)
        inputs = {"w": draw.floats(rows, width), "i": torch.tensor(index, dtype=torch.int64)}
        call = lambda w, i: F.embedding(i, w)
        corpus.add("embedding", what, "y = embedding w, i", inputs, call,
                   dims={"i": dims} if dims else None)


def dropout(corpus):
    """PyTorch draws other numbers, so only what holds whatever is drawn can be recorded: nothing
    is dropped at a probability of 0, and everything at 1."""
    for what, p, shape, dims in (
        ("nothing is dropped", 0.0, (3, 4), {"x": "n, 4"}),
        ("all is dropped", 1.0, (4, 3), {"x": "n, 3"}),
    ):
        inputs = {"x": corpus.draw("dropout", what).floats(*shape), "step": torch.tensor(3)}
        graph = 'y, mask = dropout x, p, step {stream=stream(7, "drop", 0)}'
        call = lambda x, step: (x * (1.0 - p), torch.full_like(x, 1.0 - p).detach())
        corpus.add("dropout", what, graph, inputs, call, constants={"p": p},
                   results=("y", "mask"), dims=dims)
