"""Ops that move elements without computing."""

import torch
import torch.nn.functional as F

from corpus import floats


def record(corpus):
    def moves(op, what, attributes, shape, function, dims=None):
        """A case of one float operand."""
        x = corpus.draw(op, what).floats(*shape)
        call = lambda x: function(x)
        dims = {"x": dims} if dims else None
        corpus.add(op, what, f"y = {op} x {{{attributes}}}", {"x": x}, call, dims=dims)

    reshape(corpus, moves)
    transpose(corpus, moves)
    expand(corpus, moves)
    concat(corpus)
    cut(corpus, moves)
    pad(corpus)
    iota(corpus)
    tile(corpus, moves)


def reshape(corpus, moves):
    moves("reshape", "numbers", "dims=dims[3, 4]", (2, 6), lambda x: x.reshape(3, 4))
    moves("reshape", "symbols", "dims=dims[n, 2*m]", (3, 2, 5), lambda x: x.reshape(3, 10),
          "n, 2, m")
    moves("reshape", "a symbol times a number", "dims=dims[4*n]", (3, 4), lambda x: x.reshape(12),
          "n, 4")
    moves("reshape", "to a scalar", "dims=dims[]", (1, 1), lambda x: x.reshape(()))
    moves("reshape", "from a scalar", "dims=dims[1, 1]", (), lambda x: x.reshape(1, 1))
    moves("reshape", "nothing", "dims=dims[0, 5]", (3, 0), lambda x: x.reshape(0, 5))
    whole = torch.arange(6).reshape(2, 3)
    corpus.add("reshape", "integers", "y = reshape x {dims=dims[3, 2]}", {"x": whole},
               lambda x: x.reshape(3, 2))
    truth = torch.tensor([[True, False], [False, False]])
    corpus.add("reshape", "truth values", "y = reshape x {dims=dims[4]}", {"x": truth},
               lambda x: x.reshape(4))
    x = corpus.draw("reshape", "used twice").floats(3, 4)
    graph = "t = reshape x {dims=dims[4, 3]}\nu = mul t, t\ny = reshape u {dims=dims[3, 4]}"
    corpus.add("reshape", "used twice", graph, {"x": x}, lambda x: x * x)
    for what, start, end, dims, text in (
        ("all", 0, -1, (2, 3, 4), None),
        ("all but the batch", 1, -1, (3, 2, 5, 2), "n, 2, 5, 2"),
        ("the batch too", 0, 1, (3, 2, 5), "n, 2, 5"),
        ("the middle", 1, 2, (2, 3, 4, 5), None),
        ("one dim", 1, 1, (2, 3), None),
        ("from the end", -2, -1, (2, 3, 4), None),
        ("a scalar", 0, -1, (), None),
    ):
        moves("flatten", what, f"start={start}, end={end}", dims,
              lambda x: torch.flatten(x, start, end), text)
    moves("squeeze", "two", "axes=[0, -2]", (1, 3, 1, 2), lambda x: x[0, :, 0, :], "1, n, 1, 2")
    moves("squeeze", "all", "axes=[0, 1]", (1, 1), lambda x: x.reshape(()))
    moves("unsqueeze", "the middle", "axes=[1]", (3, 2), lambda x: x.unsqueeze(1), "n, 2")
    moves("unsqueeze", "both ends", "axes=[0, -1]", (3, 2), lambda x: x[None, :, :, None])
    moves("unsqueeze", "a scalar", "axes=[0]", (), lambda x: x[None])


def transpose(corpus, moves):
    for permutation, dims, text in (
        ((1, 0), (5, 3), "n, 3"),
        ((0, 1), (2, 3), None),
        ((2, 0, 1), (2, 3, 4), None),
        ((0, 2, 1), (3, 5, 7), "n, 5, 7"),
        ((0, 2, 3, 1), (2, 3, 4, 5), "n, 3, 4, 5"),
        ((3, 1, 2, 0), (2, 3, 1, 4), None),
        ((), (), None),
    ):
        moves("transpose", f"by {list(permutation)}", f"permutation={list(permutation)}", dims,
              lambda x: x.permute(permutation), text)
    # Beyond any block in which a kernel might move elements.
    moves("transpose", "large", "permutation=[1, 0]", (35, 17), lambda x: x.T)


def expand(corpus, moves):
    for what, dims, target, text in (
        ("new dims", (3,), (2, 4, 3), "2, 4, 3"),
        ("ones", (2, 1, 3), (2, 5, 3), "2, 5, 3"),
        ("both", (3, 1), (2, 3, 4), "2, 3, 4"),
        ("a scalar", (), (3, 2), "3, 2"),
        ("the same", (2, 3), (2, 3), "2, 3"),
    ):
        moves("expand", what, f"dims=dims[{text}]", dims, lambda x: x.expand(*target).clone())
    draw = corpus.draw("expand", "a symbol")
    graph = "t = expand x {dims=dims[n, 3]}\ny = mul t, w"
    inputs = {"x": draw.floats(3), "w": draw.floats(4, 3)}
    corpus.add("expand", "a symbol", graph, inputs, lambda x, w: x.expand(4, 3) * w,
               dims={"w": "n, 3"})
    corpus.add("expand", "integers", "y = expand x {dims=dims[2, 3]}",
               {"x": torch.tensor([[4], [5]])}, lambda x: x.expand(2, 3).clone())
    for what, dims, target, text in (
        ("to a vector", (4, 3), (3,), "n, 3"),
        ("to ones", (4, 2, 3), (1, 2, 1), "n, 2, 3"),
        ("to a scalar", (5, 3), (), "n, 3"),
        ("nothing to sum", (2, 3), (2, 3), None),
        ("front and middle", (2, 3, 4, 5), (3, 1, 5), None),
        ("the last", (7, 9), (7, 1), None),
        ("a long one", (301, 2), (1, 2), "n, 2"),
    ):
        shown = ", ".join(str(d) for d in target)
        moves("sum_to", what, f"dims=dims[{shown}]", dims,
              lambda x: x.sum_to_size(target) if target else x.sum(), text)


def concat(corpus):
    for what, axis, shapes, dims in (
        ("two rows", 0, [(2, 3), (1, 3)], None),
        ("three columns", -1, [(4, 2), (4, 1), (4, 3)], {k: f"n, {c}" for k, c in zip("abc", (2, 1, 3))}),
        ("the middle", 1, [(2, 3, 2), (2, 1, 2)], None),
        ("one", 0, [(3, 2)], None),
        ("channels", -3, [(2, 1, 2, 2), (2, 3, 2, 2)], {"a": "n, 1, 2, 2", "b": "n, 3, 2, 2"}),
        ("vectors", 0, [(2,), (5,)], None),
        ("batches", 0, [(3, 2), (1, 2)], {"a": "n, 2"}),
        ("nothing in between", 0, [(2, 2), (0, 2), (1, 2)], None),
    ):
        draw = corpus.draw("concat", what)
        inputs = {name: draw.floats(*shape) for name, shape in zip("abc", shapes)}
        graph = f"y = concat {', '.join(inputs)} {{axis={axis}}}"
        call = lambda *parts: torch.cat(parts, axis)
        corpus.add("concat", what, graph, inputs, call, dims=dims)
    draw = corpus.draw("concat", "the same twice")
    corpus.add("concat", "the same twice", "y = concat a, a {axis=1}", {"a": draw.floats(2, 3)},
               lambda a: torch.cat([a, a], 1))
    whole = {"a": torch.tensor([1, 2]), "b": torch.tensor([3])}
    corpus.add("concat", "integers", "y = concat a, b {axis=0}", whole,
               lambda a, b: torch.cat([a, b]))


def cut(corpus, moves):
    moves("slice", "the first", "axis=0, start=0, end=2", (5, 3), lambda x: x[:2])
    moves("slice", "the middle", "axis=1, start=1, end=3", (3, 5), lambda x: x[:, 1:3], "n, 5")
    moves("slice", "to the end", "axis=-1, start=2", (3, 5), lambda x: x[:, 2:], "n, 5")
    moves("slice", "by two", "axis=1, start=0, step=2", (3, 5), lambda x: x[:, ::2], "n, 5")
    moves("slice", "by three from one", "axis=0, start=1, end=8, step=3", (9, 2),
          lambda x: x[1:8:3])
    moves("slice", "a step beyond the end", "axis=0, start=1, end=4, step=9", (5,),
          lambda x: x[1:4:9])
    moves("slice", "from the end", "axis=1, start=-3, end=-1", (2, 6), lambda x: x[:, -3:-1])
    moves("slice", "a symbolic axis", "axis=0, start=1", (4, 2), lambda x: x[1:], "n, 2")
    moves("slice", "all", "axis=0, start=0", (3, 2), lambda x: x[:], "n, 2")
    moves("slice", "nothing", "axis=0, start=2, end=2", (3, 2), lambda x: x[2:2])
    moves("slice", "four dims", "axis=2, start=1, end=4, step=2", (2, 3, 4, 2),
          lambda x: x[:, :, 1:4:2])
    corpus.add("slice", "integers", "y = slice x {axis=0, start=1}", {"x": torch.arange(4)},
               lambda x: x[1:])


def pad(corpus):
    for what, low, high, dims, text in (
        ("a vector", (1,), (2,), (3,), None),
        ("one side", (0, 2), (0, 0), (4, 3), "n, 3"),
        ("a matrix", (1, 2), (3, 0), (2, 3), None),
        ("images", (0, 0, 1, 1), (0, 0, 1, 2), (2, 2, 3, 2), "n, 2, h, 2"),
        ("by nothing", (0, 0), (0, 0), (2, 3), None),
        ("the batch", (1, 0), (1, 0), (3, 2), "n, 2"),
    ):
        draw = corpus.draw("pad", what)
        inputs = {"x": draw.floats(*dims), "v": floats(0.625)}
        widths = [w for pair in zip(reversed(low), reversed(high)) for w in pair]
        # PyTorch's value is no tensor: the border is made by padding zeros with ones.
        call = lambda x, v: F.pad(x, widths) + v * F.pad(torch.zeros_like(x), widths, value=1.0)
        graph = f"y = pad x, v {{low={list(low)}, high={list(high)}}}"
        corpus.add("pad", what, graph, inputs, call, dims={"x": text} if text else None)
    x = corpus.draw("pad", "infinity").floats(2, 2)
    corpus.add("pad", "infinity", "y = pad x, v {low=[0, 1], high=[0, 0]}", {"x": x},
               lambda x: F.pad(x, (1, 0), value=float("-inf")),
               constants={"v": float("-inf")}, fixed=("x",))


def iota(corpus):
    x = corpus.draw("iota", "floats").floats(4)
    graph = "i = iota {dims=dims[n], dtype=f64}\ny = mul i, x"
    corpus.add("iota", "floats", graph, {"x": x}, lambda x: torch.arange(4.0) * x, dims={"x": "n"})
    x = torch.ones(2, 3, dtype=torch.int64)
    graph = "i = iota {dims=dims[2, 3], dtype=i64, axis=-1}\ny = mul i, x"
    corpus.add("iota", "integers along columns", graph, {"x": x},
               lambda x: torch.arange(3).expand(2, 3) * x)


def tile(corpus, moves):
    for what, repeats, dims, text in (
        ("columns", (1, 3), (3, 2), "n, 2"),
        ("rows", (2, 1), (3, 2), "n, 2"),
        ("both", (2, 3), (3, 2), "n, m"),
        ("once", (1, 1), (3, 2), None),
        ("never", (2, 0), (3, 2), None),
        ("more axes than one copy repeats", (2, 2, 1, 3, 2, 2), (1, 2, 2, 1, 2, 1), None),
        ("a scalar", (), (), None),
    ):
        moves("tile", what, f"repeats={list(repeats)}", dims, lambda x: x.repeat(repeats), text)
    truth = torch.tensor([True, False])
    corpus.add("tile", "truth values", "y = tile x {repeats=[2]}", {"x": truth},
               lambda x: x.repeat(2))
