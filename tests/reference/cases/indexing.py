"""Ops whose operands say places."""

import torch
import torch.nn.functional as F

from corpus import floats


def record(corpus):
    gather(corpus)
    gather_elements(corpus)
    gather_nd(corpus)
    scatter_elements(corpus)
    scatter_nd(corpus)
    top_k(corpus)
    one_hot(corpus)
    reverse(corpus)
    reverse_sequence(corpus)


def gather(corpus):
    for what, axis, shape, index, dims in (
        ("rows", 0, (4, 3), [2, 0, 2], {"x": "n, 3"}),
        ("columns", -1, (3, 4), [1, -1, 3, 0, -4], {"x": "n, 4", "i": "k"}),
        ("the middle", 1, (2, 3, 2), [[0, 2], [1, 1]], {"x": "n, 3, 2"}),
        ("one place", 1, (2, 3, 2), 2, None),
        ("no place", 0, (3, 2), [], None),
    ):
        x = corpus.draw("gather", what).floats(*shape)
        index = torch.tensor(index, dtype=torch.int64)

        def call(x, i):
            at = axis % x.ndim
            y = torch.index_select(x, at, i.flatten() % x.shape[at])
            return y.reshape(x.shape[:at] + i.shape + x.shape[at + 1:])

        corpus.add("gather", what, f"y = gather x, i {{axis={axis}}}", {"x": x, "i": index}, call,
                   dims=dims)
    x, index = torch.tensor([7, 8, 9], dtype=torch.uint8), torch.tensor([2, 0], dtype=torch.int32)
    corpus.add("gather", "small integers", "y = gather x, i {axis=0}", {"x": x, "i": index},
               lambda x, i: torch.index_select(x, 0, i))
    x = corpus.draw("gather", "twice over").floats(4, 3)
    index = torch.tensor([1, 1, 3])
    graph = "t = mul x, x\nu = gather t, i {axis=0}\ny = mul u, u"
    corpus.add("gather", "twice over", graph, {"x": x, "i": index}, lambda x, i: (x * x)[i] ** 2)


def gather_elements(corpus):
    for what, axis, shape, index, dims in (
        ("rows", 0, (3, 4), (2, 4), None),
        ("columns", -1, (3, 4), (3, 6), {"x": "n, 4", "i": "n, 6"}),
        ("part of the others", 1, (3, 4, 2), (2, 5, 1), None),
        ("a vector", 0, (5,), (7,), None),
    ):
        draw = corpus.draw("gather_elements", what)
        x, index = draw.floats(*shape), draw.ints(shape[axis], *index)
        call = lambda x, i: torch.gather(x, axis, i)
        corpus.add("gather_elements", what, f"y = gather_elements x, i {{axis={axis}}}",
                   {"x": x, "i": index}, call, dims=dims)
    x, index = torch.tensor([True, False, False]), torch.tensor([0, 2, -3])
    corpus.add("gather_elements", "truth values", "y = gather_elements x, i {axis=0}",
               {"x": x, "i": index}, lambda x, i: torch.gather(x, 0, i % 3))


def gather_nd(corpus):
    x = corpus.draw("gather_nd", "elements").floats(3, 4)
    index = torch.tensor([[2, 0], [-1, 3], [0, 1]])
    corpus.add("gather_nd", "elements", "y = gather_nd x, i", {"x": x, "i": index},
               lambda x, i: x[i[:, 0], i[:, 1]], dims={"x": "n, 4", "i": "m, 2"})
    x = corpus.draw("gather_nd", "slices").floats(3, 2, 2)
    index = torch.tensor([[[2], [2]], [[0], [1]]])
    corpus.add("gather_nd", "slices", "y = gather_nd x, i", {"x": x, "i": index},
               lambda x, i: x[i[..., 0]], dims={"x": "n, 2, 2"})
    x = corpus.draw("gather_nd", "of a batch").floats(2, 3, 2)
    index = torch.tensor([[[2], [2]], [[0], [-2]]])
    corpus.add("gather_nd", "of a batch", "y = gather_nd x, i {batch_dims=1}",
               {"x": x, "i": index}, lambda x, i: torch.stack([a[b[:, 0]] for a, b in zip(x, i)]),
               dims={"x": "n, 3, 2", "i": "n, 2, 1"})
    x = corpus.draw("gather_nd", "one element").floats(3, 4)
    corpus.add("gather_nd", "one element", "y = gather_nd x, i",
               {"x": x, "i": torch.tensor([1, 2])}, lambda x, i: x[i[0], i[1]])


REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def scatter_elements(corpus):
    for what, axis, shape, index, dims in (
        ("rows", 0, (3, 4), [[2, 0, 1, 2], [0, 1, 2, 0]], None),
        ("columns", 1, (2, 4), [[3, 0], [1, 2]], {"x": "n, 4", "i": "n, 2", "u": "n, 2"}),
        ("part of the others", -2, (3, 2, 2), [[[1], [0]], [[0], [1]]], None),
    ):
        draw = corpus.draw("scatter_elements", what)
        index = torch.tensor(index)
        inputs = {"x": draw.floats(*shape), "i": index, "u": draw.floats(*index.shape)}
        call = lambda x, i, u: torch.scatter(x, axis, i, u)
        corpus.add("scatter_elements", what, f"y = scatter_elements x, i, u {{axis={axis}}}",
                   inputs, call, dims=dims)
    for reduction, name in REDUCE.items():
        draw = corpus.draw("scatter_elements", reduction)
        index = torch.tensor([[2, 0, 2, 2], [0, 1, 1, 0]])
        inputs = {"x": draw.floats(2, 3), "i": index, "u": draw.floats(2, 4)}
        call = lambda x, i, u: torch.scatter_reduce(x, 1, i, u, name)
        graph = f'y = scatter_elements x, i, u {{axis=1, reduction="{reduction}"}}'
        corpus.add("scatter_elements", reduction, graph, inputs, call)
        whole = {k: v if k == "i" else (v * 64).to(torch.int64) for k, v in inputs.items()}
        corpus.add("scatter_elements", f"{reduction} of integers", graph, whole, call)
    graph = 'y = scatter_elements x, i, u {axis=0, reduction="mul"}'
    zeros = {
        "x": floats([2.0, 0.0, 3.0, 0.0, 5.0]),
        "i": torch.tensor([0, 0, 1, 1, 2, 2, 3, 4]),
        "u": floats([0.0, 4.0, 3.0, 7.0, 0.0, 0.0, 0.0, 2.0]),
    }
    call = lambda x, i, u: torch.scatter_reduce(x, 0, i, u, "prod")
    corpus.add("scatter_elements", "products with zeros", graph, zeros, call)
    for reduction in ("max", "min"):
        tied = {
            "x": floats([2.0, 1.0, 3.0]),
            "i": torch.tensor([0, 0, 1, 1, 1, 2]),
            "u": floats([2.0, 2.0, 1.0, 0.0, 4.0, 3.0]),
        }
        graph = f'y = scatter_elements x, i, u {{axis=0, reduction="{reduction}"}}'
        call = lambda x, i, u: torch.scatter_reduce(x, 0, i, u, REDUCE[reduction])
        corpus.add("scatter_elements", f"ties of {reduction}", graph, tied, call, kinks=True)


def scatter_nd(corpus):
    draw = corpus.draw("scatter_nd", "slices")
    inputs = {"x": draw.floats(4, 3), "i": torch.tensor([[2], [-4]]), "u": draw.floats(2, 3)}
    corpus.add("scatter_nd", "slices", "y = scatter_nd x, i, u", inputs,
               lambda x, i, u: x.index_put((i[:, 0],), u), dims={"x": "n, 3"})
    draw = corpus.draw("scatter_nd", "elements")
    index = torch.tensor([[[0, 1], [2, 2]], [[1, 0], [3, 1]]])
    inputs = {"x": draw.floats(4, 3), "i": index, "u": draw.floats(2, 2)}
    corpus.add("scatter_nd", "elements", "y = scatter_nd x, i, u", inputs,
               lambda x, i, u: x.index_put((i[..., 0], i[..., 1]), u), dims={"x": "n, 3"})
    for reduction, name in REDUCE.items():
        draw = corpus.draw("scatter_nd", reduction)
        index = torch.tensor([[2], [0], [2]])
        inputs = {"x": draw.floats(3, 2), "i": index, "u": draw.floats(3, 2)}

        def call(x, i, u):
            return torch.scatter_reduce(x, 0, i.expand(-1, 2), u, name)

        graph = f'y = scatter_nd x, i, u {{reduction="{reduction}"}}'
        corpus.add("scatter_nd", reduction, graph, inputs, call, dims={"i": "m, 1", "u": "m, 2"})


def top_k(corpus):
    for what, k, axis, largest, shape, dims in (
        ("of columns", 2, -1, True, (3, 5), {"x": "n, 5"}),
        ("smallest of rows", 3, 0, False, (4, 3), None),
        ("of the middle", 2, 1, True, (2, 4, 3), None),
        ("all", 6, 0, True, (6,), None),
        ("all, upwards", 5, 1, False, (2, 5), None),
        ("none", 0, 1, True, (2, 3), None),
    ):
        x = corpus.draw("top_k", what).floats(*shape)
        call = lambda x: tuple(torch.topk(x, k, axis, largest=largest))
        graph = f"y, i = top_k x {{k={k}, axis={axis}, largest={str(largest).lower()}}}"
        corpus.add("top_k", what, graph, {"x": x}, call, results=("y", "i"), dims=dims)
    nan, inf = float("nan"), float("inf")
    odd = floats([[1.0, nan, inf, 1.0], [2.0, 2.0, 2.0, -inf]])
    for what, down in (("ties and not a number", True), ("ties, upwards", False)):
        call = lambda x: tuple(torch.sort(x, dim=1, descending=down, stable=True))
        graph = f"y, i = top_k x {{k=4, axis=1, largest={str(down).lower()}}}"
        corpus.add("top_k", what, graph, {"x": odd}, call, results=("y", "i"), fixed=("x",))
    x = torch.tensor([3, 9, -4, 9])
    corpus.add("top_k", "integers", "y, i = top_k x {k=2, axis=0, largest=false}", {"x": x},
               lambda x: tuple(torch.topk(x, 2, largest=False)), results=("y", "i"))


def one_hot(corpus):
    for what, axis, index, dims in (
        ("last", -1, [[0, 2], [3, 1]], {"i": "n, 2"}),
        ("first", 0, [1, 3, 0], None),
        ("the middle", 1, [[0, 2], [3, 1], [1, 1]], None),
        ("one place", 0, 2, None),
    ):
        draw = corpus.draw("one_hot", what)

        def call(i, hot, cold):
            places = F.one_hot(i, 4).double().movedim(-1, axis)
            return places * hot + (1 - places) * cold

        inputs = {"i": torch.tensor(index), "hot": draw.floats(), "cold": draw.floats()}
        graph = f"y = one_hot i, hot, cold {{depth=4, axis={axis}}}"
        corpus.add("one_hot", what, graph, inputs, call, dims=dims)
    inputs = {"i": torch.tensor([-1, 4, -5, -4]), "hot": floats(3.0), "cold": floats(-1.0)}
    rows = floats([[-1.0, -1, -1, 3], [-1] * 4, [-1] * 4, [3, -1, -1, -1]])
    corpus.add("one_hot", "from the end, and outside", "y = one_hot i, hot, cold {depth=4, axis=-1}",
               inputs, lambda i, hot, cold: rows, fixed=("hot", "cold"))


def reverse(corpus):
    for what, axes, shape, dims in (
        ("rows", [0], (4, 3), {"x": "n, 3"}),
        ("columns", [-1], (3, 5), {"x": "n, 5"}),
        ("both ends", [0, 2], (2, 3, 4), None),
        ("all", [0, 1], (3, 2), None),
        ("none", [], (3, 2), None),
    ):
        x = corpus.draw("reverse", what).floats(*shape)
        call = lambda x: x.flip(axes)
        corpus.add("reverse", what, f"y = reverse x {{axes={axes}}}", {"x": x}, call, dims=dims)
    corpus.add("reverse", "truth values", "y = reverse x {axes=[0]}",
               {"x": torch.tensor([True, False, False])}, lambda x: x.flip(0))


def reverse_sequence(corpus):
    for what, time, batch, shape, lengths, dims in (
        ("time first", 0, 1, (4, 3, 2), [4, 1, 3], {"x": "4, n, 2", "l": "n"}),
        ("batch first", 1, 0, (3, 4), [2, 0, 4], None),
        ("far apart", 2, 0, (2, 3, 4), [3, 4], None),
    ):
        x = corpus.draw("reverse_sequence", what).floats(*shape)

        def call(x, l):
            steps = x.movedim((batch, time), (0, 1))
            turned = [torch.cat([s[:n].flip(0), s[n:]]) for s, n in zip(steps, l.tolist())]
            return torch.stack(turned).movedim((0, 1), (batch, time))

        graph = f"y = reverse_sequence x, l {{time_axis={time}, batch_axis={batch}}}"
        corpus.add("reverse_sequence", what, graph, {"x": x, "l": torch.tensor(lengths)}, call,
                   dims=dims)
