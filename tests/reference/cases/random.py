"""Ops that draw, as far as PyTorch can say what they give: it draws other numbers."""

import torch

from corpus import floats


def record(corpus):
    step = torch.tensor(3)
    stream = 'stream=stream(7, "draw", 0)'
    for dtype, name in ((torch.float64, "f64"), (torch.int64, "i64"), (torch.bool, "bool")):
        p = floats([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
        corpus.add("bernoulli", f"sure things as {name}",
                   f"y = bernoulli p, step {{{stream}, dtype={name}}}", {"p": p, "step": step},
                   lambda p, step: torch.bernoulli(p).to(dtype), dims={"p": "n, 3"}, fixed=("p",))
    graph = f"""
        u = uniform step {{{stream}, dtype=f64, dims=dims[5, 40]}}
        zero = constant {{dtype=f64, value=0.0}}
        one = constant {{dtype=f64, value=1.0}}
        low = ge u, zero
        high = lt u, one
        y = logical_and low, high
    """
    def within(step):
        u = torch.rand(5, 40)
        return (u >= 0) & (u < 1)

    corpus.add("uniform", "bounds", graph, {"step": step}, within)
    graph = f"""
        z = normal step {{{stream}, dtype=f64, dims=dims[5, 40]}}
        same = eq z, z
        large = is_inf z
        y = logical_xor same, large
    """
    corpus.add("normal", "numbers", graph, {"step": step},
               lambda step: torch.isfinite(torch.randn(5, 40)))
