"""Ops that make one element of many."""

import torch

from corpus import floats

SHAPES = [
    ("all", None, (3, 4), {"x": "n, 4"}),
    ("rows", [0], (5, 3), {"x": "n, 3"}),
    ("columns", [1], (5, 3), {"x": "n, 3"}),
    ("the last", [-1], (2, 3, 7), None),
    ("the middle", [1], (2, 5, 3), {"x": "n, 5, 3"}),
    ("both ends", [0, -1], (3, 4, 5), {"x": "n, 4, 5"}),
    ("all but channels", [0, 2, 3], (2, 3, 4, 5), {"x": "n, 3, h, 5"}),
    ("neighbours", [1, 2], (2, 3, 5), None),
    ("none", [], (2, 3), None),
    ("a scalar", None, (), None),
    ("one element", [0], (1, 3), None),
]


def record(corpus):
    folds(corpus)
    corners(corpus)
    products(corpus)
    var(corpus)
    cumsum(corpus)
    exclusive(corpus)
    cumprod(corpus)
    smallest(corpus)
    narrow(corpus)
    places(corpus)


def over(x, axes):
    """The axes as PyTorch takes them; it means all of them where the list is empty."""
    return tuple(range(x.dim())) if axes is None else tuple(axes)


def attributes(axes, keep, more=()):
    parts = [] if axes is None else [f"axes={list(axes)}"]
    parts += ["keep=true"] if keep else []
    parts += more
    return f" {{{', '.join(parts)}}}" if parts else ""


def folds(corpus):
    for op, function in (
        ("sum", torch.sum), ("mean", torch.mean), ("reduce_max", torch.amax),
        ("reduce_min", torch.amin),
    ):
        for what, axes, shape, dims in SHAPES:
            keep = what in ("columns", "both ends", "all but channels")
            x = corpus.draw(op, what).floats(*shape)
            # An empty list means no axis here, and every axis in PyTorch.
            call = lambda x: x * 1.0 if axes == [] else function(x, over(x, axes), keepdim=keep)
            graph = f"y = {op} x{attributes(axes, keep)}"
            corpus.add(op, what, graph, {"x": x}, call, dims=dims)
        x = corpus.draw(op, "long").floats(3, 259)
        call = lambda x: function(x, 1)
        corpus.add(op, "long", f"y = {op} x {{axes=[1]}}", {"x": x}, call, dims={"x": "n, 259"})
        x = corpus.draw(op, "kept, all").floats(2, 3)
        call = lambda x: function(x, (0, 1), keepdim=True)
        corpus.add(op, "kept, all", f"y = {op} x {{keep=true}}", {"x": x}, call)
    for what, shape, dims in (("a matrix", (4, 3), {"x": "n, 3"}), ("a scalar", (), None)):
        x = corpus.draw("sum_squares", what).floats(*shape)
        call = lambda x: x.square().sum()
        corpus.add("sum_squares", what, "y = sum_squares x", {"x": x}, call, dims=dims)


def corners(corpus):
    tied = {"x": floats([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [-1.0, -4.0, -4.0]])}
    for op, function in (("reduce_max", torch.amax), ("reduce_min", torch.amin)):
        call = lambda x: function(x, 1)
        corpus.add(op, "ties", f"y = {op} x {{axes=[1]}}", tied, call, kinks=True)
        call = lambda x: function(x, (0, 1))
        corpus.add(op, "ties of all", f"y = {op} x", tied, call, kinks=True)
        nan = {"x": floats([[1.0, float("nan"), 3.0], [1.0, 2.0, 0.0]])}
        call = lambda x: function(x, 1)
        corpus.add(op, "not a number", f"y = {op} x {{axes=[1]}}", nan, call, fixed=("x",))
        call = lambda x: function(x, 0)
        whole = {"x": torch.tensor([[3, -1], [2, 5]])}
        corpus.add(op, "integers", f"y = {op} x {{axes=[0]}}", whole, call)
    whole = {"x": torch.tensor([[3, -1], [2, 5]])}
    corpus.add("sum", "integers", "y = sum x {axes=[0]}", whole, lambda x: x.sum(0))
    nothing = {"x": torch.zeros(2, 0, dtype=torch.float64)}
    corpus.add("sum", "nothing", "y = sum x {axes=[1]}", nothing, lambda x: x.sum(1))
    draw = corpus.draw("count", "a symbol")
    graph = "c = count x {axes=[0]}\ny = div x, c"
    corpus.add("count", "a symbol", graph, {"x": draw.floats(5, 2)}, lambda x: x / 5.0,
               dims={"x": "n, 2"})
    graph = "c = count x\ny = div x, c"
    draw = corpus.draw("count", "all")
    corpus.add("count", "all", graph, {"x": draw.floats(3, 2)}, lambda x: x / 6.0,
               dims={"x": "n, m"})


def products(corpus):
    for what, axis, shape, dims in (
        ("rows", 0, (3, 4), {"x": "n, 4"}),
        ("columns", -1, (4, 3), {"x": "n, 3"}),
        ("the middle", 1, (2, 3, 2), None),
    ):
        x = corpus.draw("prod", what).floats(*shape)
        call = lambda x: x.prod(axis)
        corpus.add("prod", what, f"y = prod x {{axes=[{axis}]}}", {"x": x}, call, dims=dims)
    x = corpus.draw("prod", "all").floats(2, 3)
    corpus.add("prod", "all", "y = prod x", {"x": x}, lambda x: x.prod())
    x = corpus.draw("prod", "two axes, kept").floats(2, 3, 2)
    corpus.add("prod", "two axes, kept", "y = prod x {axes=[0, 2], keep=true}", {"x": x},
               lambda x: x.prod(0, keepdim=True).prod(2, keepdim=True))
    zeros = floats([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0], [1.0, -2.0, 4.0], [0.0, 0.0, 0.0]])
    corpus.add("prod", "zeros", "y = prod x {axes=[1]}", {"x": zeros}, lambda x: x.prod(1))
    corpus.add("prod", "integers", "y = prod x {axes=[1]}", {"x": torch.tensor([[2, -3], [4, 0]])},
               lambda x: x.prod(1))


def var(corpus):
    for what, axes, keep, correction, shape, dims in (
        ("all", None, False, None, (3, 4), {"x": "n, 4"}),
        ("unbiased rows", [0], False, 1, (5, 3), {"x": "n, 3"}),
        ("biased columns", [-1], True, 0, (3, 6), {"x": "n, 6"}),
        ("two axes", [0, 2], False, 1, (2, 3, 4), None),
        ("channels of images", [0, 2, 3], True, 0, (2, 3, 2, 3), {"x": "n, 3, 2, 3"}),
    ):
        x = corpus.draw("var", what).floats(*shape)
        call = lambda x: torch.var(
            x, over(x, axes), correction=1 if correction is None else correction, keepdim=keep
        )
        more = [] if correction is None else [f"correction={correction}"]
        graph = f"y = var x{attributes(axes, keep, more)}"
        corpus.add("var", what, graph, {"x": x}, call, dims=dims)
    x = corpus.draw("var", "far from zero").floats(4, 8) + 1024.0
    corpus.add("var", "far from zero", "y = var x {axes=[1], correction=0}", {"x": x},
               lambda x: torch.var(x, 1, correction=0))


def cumsum(corpus):
    for what, axis, shape, dims in (
        ("rows", 0, (4, 3), {"x": "n, 3"}),
        ("columns", -1, (3, 5), {"x": "n, 5"}),
        ("the middle", 1, (2, 4, 3), None),
        ("a vector", 0, (7,), {"x": "n"}),
    ):
        x = corpus.draw("cumsum", what).floats(*shape)
        call = lambda x: torch.cumsum(x, axis)
        corpus.add("cumsum", what, f"y = cumsum x {{axis={axis}}}", {"x": x}, call, dims=dims)
    x = corpus.draw("cumsum", "from the end").floats(3, 4)
    corpus.add("cumsum", "from the end", "y = cumsum x {axis=1, reverse=true}", {"x": x},
               lambda x: x.flip(1).cumsum(1).flip(1))
    corpus.add("cumsum", "integers", "y = cumsum x {axis=0}", {"x": torch.tensor([3, -1, 4])},
               lambda x: torch.cumsum(x, 0))


def places(corpus):
    for what, axis, keep, shape, dims in (
        ("columns", -1, False, (5, 4), {"x": "n, 4"}),
        ("rows", 0, True, (5, 4), {"x": "n, 4"}),
        ("the middle", 1, False, (2, 5, 3), None),
    ):
        x = corpus.draw("argmax", what).floats(*shape)
        call = lambda x: torch.argmax(x, axis, keepdim=keep)
        graph = f"y = argmax x {{axis={axis}, keep={str(keep).lower()}}}"
        corpus.add("argmax", what, graph, {"x": x}, call, dims=dims, fixed=("x",))
    nan = float("nan")
    tied = floats([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [1.0, nan, nan]])
    corpus.add("argmax", "ties and not a number", "y = argmax x {axis=1}", {"x": tied},
               lambda x: torch.argmax(x, 1), fixed=("x",))
    corpus.add("argmax", "integers", "y = argmax x {axis=0}", {"x": torch.tensor([3, 7, 5])},
               lambda x: torch.argmax(x, 0))


def shifted(x, axis, reverse, first):
    """What running over all elements before a place gives, from what running over them gives."""
    size = x.shape[axis]
    start = torch.full_like(x.narrow(axis, 0, 1), first)
    if reverse:
        return torch.cat([x.narrow(axis, 1, size - 1), start], axis)
    return torch.cat([start, x.narrow(axis, 0, size - 1)], axis)


def exclusive(corpus):
    for what, axis, reverse in (("without its own", 1, False), ("without its own, back", 0, True)):
        x = corpus.draw("cumsum", what).floats(4, 3)
        back = [axis] if reverse else []
        call = lambda x: shifted(x.flip(back).cumsum(axis).flip(back), axis, reverse, 0)
        graph = f"y = cumsum x {{axis={axis}, exclusive=true, reverse={str(reverse).lower()}}}"
        corpus.add("cumsum", what, graph, {"x": x}, call, dims={"x": "n, 3"})
    small = torch.tensor([[100, 100, 100]], dtype=torch.uint8)
    corpus.add("cumsum", "small integers", "y = cumsum x {axis=1}", {"x": small},
               lambda x: x.cumsum(1, dtype=torch.uint8))


def cumprod(corpus):
    for what, axis, reverse, alone, shape, dims in (
        ("rows", 0, False, False, (4, 3), {"x": "n, 3"}),
        ("columns", -1, False, False, (3, 5), {"x": "n, 5"}),
        ("the middle", 1, False, False, (2, 4, 3), None),
        ("from the end", 1, True, False, (3, 4), None),
        ("without its own", 1, False, True, (3, 4), None),
        ("without its own, back", 0, True, True, (3, 4), None),
    ):
        x = corpus.draw("cumprod", what).floats(*shape)
        back = [axis] if reverse else []

        def call(x):
            y = x.flip(back).cumprod(axis).flip(back)
            return shifted(y, axis, reverse, 1) if alone else y

        flags = f"reverse={str(reverse).lower()}, exclusive={str(alone).lower()}"
        graph = f"y = cumprod x {{axis={axis}, {flags}}}"
        corpus.add("cumprod", what, graph, {"x": x}, call, dims=dims)
    zeros = floats([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0], [1.0, -2.0, 0.0]])
    corpus.add("cumprod", "zeros", "y = cumprod x {axis=1}", {"x": zeros}, lambda x: x.cumprod(1))
    corpus.add("cumprod", "integers", "y = cumprod x {axis=0}", {"x": torch.tensor([3, -1, 4])},
               lambda x: torch.cumprod(x, 0))


def smallest(corpus):
    for what, axis, keep, shape, dims in (
        ("columns", -1, False, (5, 4), {"x": "n, 4"}),
        ("rows", 0, True, (5, 4), {"x": "n, 4"}),
    ):
        x = corpus.draw("argmin", what).floats(*shape)
        call = lambda x: torch.argmin(x, axis, keepdim=keep)
        graph = f"y = argmin x {{axis={axis}, keep={str(keep).lower()}}}"
        corpus.add("argmin", what, graph, {"x": x}, call, dims=dims, fixed=("x",))
    nan = float("nan")
    tied = floats([[3.0, 1.0, 1.0], [2.0, 2.0, 2.0], [1.0, nan, nan]])
    corpus.add("argmin", "ties and not a number", "y = argmin x {axis=1}", {"x": tied},
               lambda x: torch.argmin(x, 1), fixed=("x",))
    for op, function in (("argmax", torch.argmax), ("argmin", torch.argmin)):
        call = lambda x: x.shape[1] - 1 - function(x.flip(1), 1)
        corpus.add(op, "the last", f"y = {op} x {{axis=1, last=true}}", {"x": tied}, call,
                   fixed=("x",))


def narrow(corpus):
    x = torch.tensor([[200, 100, 3], [255, 1, 1]], dtype=torch.uint8)
    corpus.add("sum", "small integers", "y = sum x {axes=[1]}", {"x": x},
               lambda x: x.sum(1, dtype=torch.uint8))
    corpus.add("prod", "small integers", "y = prod x {axes=[1]}", {"x": x},
               lambda x: x.prod(1, dtype=torch.uint8))
    corpus.add("reduce_max", "small integers", "y = reduce_max x {axes=[1]}", {"x": x},
               lambda x: x.amax(1))
