"""Matrix products."""

import math

import torch
import torch.nn.functional as F

SHAPES = [
    ("matrices", (3, 4), (4, 2), {"a": "n, 4"}),
    ("odd sizes", (7, 13), (13, 5), None),
    ("vectors", (5,), (5,), None),
    ("a vector on the left", (4,), (4, 3), None),
    ("a vector on the right", (3, 4), (4,), {"a": "n, 4"}),
    ("batches", (2, 3, 4), (2, 4, 5), {"a": "n, 3, 4", "b": "n, 4, 5"}),
    ("a batch by a matrix", (3, 2, 4), (4, 5), {"a": "n, 2, 4"}),
    ("a matrix by a batch", (2, 4), (3, 4, 5), {"b": "n, 4, 5"}),
    ("a batch by a vector", (2, 3, 4), (4,), {"a": "n, 3, 4"}),
    ("a vector by a batch", (4,), (2, 4, 3), None),
    ("four dims", (2, 3, 2, 4), (2, 3, 4, 3), {"a": "n, 3, 2, 4", "b": "n, 3, 4, 3"}),
    ("batches that broadcast", (2, 1, 3, 4), (5, 4, 2), {"a": "n, 1, 3, 4"}),
    ("both batches broadcast", (3, 1, 2, 2), (1, 4, 2, 3), None),
    ("one column", (4, 3), (3, 1), {"a": "n, 3"}),
    ("outer", (4, 1), (1, 3), {"a": "n, 1"}),
    ("nothing to sum over", (2, 0), (0, 3), None),
    ("larger than a tile", (33, 9), (9, 35), None),
]


def record(corpus):
    matmul(corpus)
    einsum(corpus)
    det(corpus)
    linear(corpus)
    attention(corpus)


def matmul(corpus):
    for what, left, right, dims in SHAPES:
        draw = corpus.draw("matmul", what)
        inputs = {"a": draw.floats(*left), "b": draw.floats(*right)}
        call = lambda a, b: torch.matmul(a, b)
        corpus.add("matmul", what, "y = matmul a, b", inputs, call, dims=dims)
    for ta in (False, True):
        for tb in (False, True):
            if not (ta or tb):
                continue
            for what, batch_a, batch_b, dims in (
                ("matrices", (), (), None),
                ("batches", (3,), (3,), {"a": "n, {a}", "b": "n, {b}"}),
                ("batches that broadcast", (2, 1), (3,), None),
                ("a batch by a matrix", (2,), (), {"a": "n, {a}"}),
            ):
                name = f"transposed {'a' * ta}{'b' * tb}, {what}"
                draw = corpus.draw("matmul", name)
                a = (4, 3) if ta else (3, 4)
                b = (5, 4) if tb else (4, 5)
                inputs = {"a": draw.floats(*batch_a, *a), "b": draw.floats(*batch_b, *b)}
                shown = {"a": "{}, {}".format(*a), "b": "{}, {}".format(*b)}
                text = {k: v.format(**shown) for k, v in (dims or {}).items()}
                call = lambda a, b: torch.matmul(a.mT if ta else a, b.mT if tb else b)
                flags = ["transpose_a=true"] * ta + ["transpose_b=true"] * tb
                graph = f"y = matmul a, b {{{', '.join(flags)}}}"
                corpus.add("matmul", name, graph, inputs, call, dims=text)
    draw = corpus.draw("matmul", "by itself")
    corpus.add("matmul", "by itself", "y = matmul a, a", {"a": draw.floats(3, 3)}, lambda a: a @ a)


def linear(corpus):
    for what, x, weight, dims in (
        ("a matrix", (4, 3), (5, 3), {"x": "n, 3"}),
        ("one output", (5, 3), (1, 3), {"x": "n, 3"}),
        ("one row", (1, 7), (3, 7), None),
        ("a vector", (3,), (4, 3), None),
        ("three dims", (2, 3, 4), (2, 4), {"x": "n, 3, 4"}),
        ("four dims", (2, 2, 3, 4), (3, 4), {"x": "n, m, 3, 4"}),
        ("odd sizes", (9, 19), (11, 19), {"x": "n, 19"}),
        ("no rows", (0, 3), (2, 3), {"x": "n, 3"}),
        ("larger than a tile", (35, 9), (33, 9), {"x": "n, 9"}),
    ):
        for bias in (False, True):
            if not bias and what == "larger than a tile":
                continue
            name = f"{what}, {'with' if bias else 'without'} bias"
            draw = corpus.draw("linear", name)
            inputs = {"x": draw.floats(*x), "w": draw.floats(*weight)}
            if bias:
                inputs["b"] = draw.floats(weight[0])
            graph = f"y = linear {', '.join(inputs)}"
            call = lambda x, w, b=None: F.linear(x, w, b)
            corpus.add("linear", name, graph, inputs, call, dims=dims)
    draw = corpus.draw("linear", "one weight twice")
    inputs = {"x": draw.floats(3, 4), "w": draw.floats(4, 4), "b": draw.floats(4)}
    graph = "t = linear x, w, b\nu = tanh t\ny = linear u, w, b"
    call = lambda x, w, b: F.linear(torch.tanh(F.linear(x, w, b)), w, b)
    corpus.add("linear", "one weight twice", graph, inputs, call, dims={"x": "n, 4"})


def attention(corpus):
    op = "scaled_dot_product_attention"
    for what, lead, queries, keys, depth, width, dims in (
        ("one head", (2,), 3, 4, 5, 2, {"q": "n, 3, 5", "k": "n, 4, 5", "v": "n, 4, 2"}),
        ("heads", (2, 3), 3, 3, 4, 4, {k: "n, 3, 3, 4" for k in "qkv"}),
        ("no batch", (), 4, 2, 3, 3, None),
    ):
        draw = corpus.draw(op, what)
        inputs = {
            "q": draw.floats(*lead, queries, depth),
            "k": draw.floats(*lead, keys, depth),
            "v": draw.floats(*lead, keys, width),
        }
        call = lambda q, k, v: torch.softmax(q @ k.mT / math.sqrt(depth), -1) @ v
        corpus.add(op, what, f"y = {op} q, k, v", inputs, call, dims=dims)


def einsum(corpus):
    for equation, shapes, dims in (
        ("ij,jk->ik", [(3, 4), (4, 2)], {"a": "n, 4"}),
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 3)], {"a": "n, 3, 4", "b": "n, 4, 3"}),
        ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)], None),
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)], None),
        ("ij->ji", [(3, 4)], None),
        ("ba", [(3, 4)], {"a": "n, 4"}),
        ("ii->i", [(4, 4)], None),
        ("ii", [(4, 4)], None),
        ("iji->j", [(3, 2, 3)], None),
        ("i,j->ij", [(3,), (4,)], None),
        ("i,i->", [(5,), (5,)], None),
        ("ij,ij->i", [(3, 4), (3, 1)], {"a": "n, 4", "b": "n, 1"}),
        ("ij,jk,kl->il", [(3, 2), (2, 4), (4, 3)], None),
        ("ab,ac", [(2, 3), (2, 4)], None),
        ("aij,akj->ik", [(2, 3, 4), (2, 5, 4)], None),
        ("i...->...", [(3, 2, 2)], None),
        ("i,->i", [(3,), ()], None),
        ("ij,k->j", [(2, 3), (4,)], None),
    ):
        draw = corpus.draw("einsum", equation)
        inputs = dict(zip("abc", [draw.floats(*shape) for shape in shapes]))
        graph = f'y = einsum {", ".join(inputs)} {{equation="{equation}"}}'
        call = lambda *tensors: torch.einsum(equation, *tensors)
        corpus.add("einsum", equation, graph, inputs, call, dims=dims)
    draw = corpus.draw("einsum", "integers")
    inputs = {"a": draw.ints(9, 2, 3) - 4, "b": draw.ints(9, 4, 3) - 4}
    corpus.add("einsum", "integers", 'y = einsum a, b {equation="ij,kj->ki"}', inputs,
               lambda a, b: b @ a.T)


def det(corpus):
    for what, shape, dims in (
        ("a matrix", (4, 4), {"x": "n, n"}),
        ("a batch", (3, 2, 2, 2), {"x": "m, 2, 2, 2"}),
        ("larger", (9, 9), None),
        ("one number", (1, 1), None),
        ("no rows", (2, 0, 0), None),
    ):
        x = corpus.draw("det", what).floats(*shape)
        # PyTorch knows no way back from nothing.
        fixed = ("x",) if what == "no rows" else ()
        corpus.add("det", what, "y = det x", {"x": x}, torch.linalg.det, dims=dims, fixed=fixed)

    def cofactors(x):
        """The determinant along the first row, whose gradient is right where it is zero."""
        if len(x) == 1:
            return x[0, 0]
        minors = [torch.cat([x[1:, :j], x[1:, j + 1:]], 1) for j in range(len(x))]
        return sum((-1) ** j * x[0, j] * cofactors(minor) for j, minor in enumerate(minors))

    for what, rows in (
        ("singular", [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.5, -1.0, 4.0]]),
        ("of rank one", [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]]),
        ("zeros on the diagonal", [[0.0, 1.0, 0.0], [0.0, 0.0, 2.0], [3.0, 0.0, 0.0]]),
    ):
        x = torch.tensor(rows, dtype=torch.float64)
        corpus.add("det", what, "y = det x", {"x": x}, cofactors)
