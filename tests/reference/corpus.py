"""How a case is recorded: a graph in text, its inputs, and what PyTorch makes of them in float64."""

import json
import zlib

import numpy
import torch

DTYPES = {
    torch.float64: "f64",
    torch.uint8: "u8",
    torch.int8: "i8",
    torch.uint16: "u16",
    torch.int16: "i16",
    torch.uint32: "u32",
    torch.int32: "i32",
    torch.uint64: "u64",
    torch.int64: "i64",
    torch.bool: "bool",
}


class Draw:
    """Numbers for one case, drawn from a generator that the case's name seeds: a case that is added
    changes no other.

    Floats are multiples of a power of two, so that f32 holds them exactly, all different and none of
    them zero, so that no kink and no tie is met by chance.
    """

    def __init__(self, name):
        self.random = numpy.random.RandomState(zlib.crc32(name.encode()))

    def floats(self, *dims, low=-2.0, high=2.0):
        count = int(numpy.prod(dims, dtype=int))
        places = 64
        while places < 2 * count:
            places *= 2
        step = (high - low) / places
        grid = low + step / 2 + step * self.random.permutation(places)[:count]
        return torch.tensor(grid, dtype=torch.float64).reshape(dims)

    def positive(self, *dims, low=0.25, high=4.25):
        return self.floats(*dims, low=low, high=high)

    def ints(self, below, *dims):
        return torch.tensor(self.random.randint(0, below, size=dims), dtype=torch.int64)

    def bools(self, *dims):
        return torch.tensor(self.random.randint(0, 2, size=dims), dtype=torch.bool)


def floats(values, *dims):
    """A float tensor of given values."""
    tensor = torch.tensor(values, dtype=torch.float64)
    return tensor.reshape(dims) if dims else tensor


class Corpus:
    """The cases of one family of ops, in order."""

    def __init__(self, family):
        self.family = family
        self.cases = []
        self.names = set()

    def draw(self, op, what):
        return Draw(f"{op}: {what}")

    def add(
        self,
        op,
        what,
        graph,
        inputs,
        reference,
        *,
        constants=None,
        results=("y",),
        dims=None,
        fixed=(),
        unseen=(),
        kinks=False,
        f32=None,
    ):
        """Records a case.

        `graph` is the text of its nodes, which read the names of `inputs` and `constants` and define
        those of `results`; `reference` takes the inputs in order and returns the results' tensors in
        order. `dims` writes an input's dims in the text where they are not plain numbers. Float
        inputs are differentiated, but for `fixed` ones; float results have cotangents, but for
        `unseen` ones. `kinks` says that finite differences tell nothing here, `f32` how far results
        in f32 may move relative to the largest, where that is more than usual.
        """
        name = f"{op}: {what}"
        assert name not in self.names, f"two cases are called {name!r}"
        self.names.add(name)
        leaves = {}
        for key, value in inputs.items():
            moves = value.dtype == torch.float64 and key not in fixed
            leaves[key] = value.detach().clone().requires_grad_(moves)
        outputs = reference(*leaves.values())
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        outputs = dict(zip(results, outputs, strict=True))
        draw = Draw(f"{name}: cotangents")
        cotangents = {
            key: draw.floats(*y.shape, low=-1.0, high=1.0)
            for key, y in outputs.items()
            if y.dtype == torch.float64 and key not in unseen and y.requires_grad
        }
        wanted = [k for k, leaf in leaves.items() if leaf.requires_grad and cotangents]
        gradients = {}
        if wanted:
            found = torch.autograd.grad(
                [outputs[k] for k in cotangents],
                [leaves[k] for k in wanted],
                [cotangents[k] for k in cotangents],
                allow_unused=True,
            )
            for key, gradient in zip(wanted, found):
                zeros = torch.zeros_like(leaves[key])
                gradients[key] = zeros if gradient is None else gradient
        case = {"name": name, "op": op}
        if kinks:
            case["kinks"] = True
        if f32 is not None:
            case["f32"] = f32
        case["graph"] = text(graph, leaves, constants or {}, outputs, dims or {})
        case["inputs"] = {
            k: {"dims": list(v.shape), "dtype": DTYPES[v.dtype], "values": numbers(v)}
            for k, v in leaves.items()
        }
        case["outputs"] = {
            k: {"dims": list(v.shape), "values": numbers(v)} for k, v in outputs.items()
        }
        case["differentiate"] = wanted
        case["cotangents"] = {k: numbers(v) for k, v in cotangents.items()} if wanted else {}
        case["gradients"] = {k: numbers(v) for k, v in gradients.items()}
        self.cases.append(case)


def text(graph, inputs, constants, outputs, dims):
    """A whole plan of one graph around its nodes."""
    lines = ["syncarp 1", 'model m0 "case" data d0 {}', 'graph "train" {']
    for key, value in inputs.items():
        shape = dims.get(key, ", ".join(str(d) for d in value.shape))
        dtype = DTYPES[value.dtype]
        lines.append(f'  {key} = input {{model=m0, name="{key}", dtype={dtype}, dims=dims[{shape}]}}')
    for key, value in constants.items():
        lines.append(f"  {key} = constant {{dtype=f64, value={number(value)}}}")
    lines += ["  " + line.strip() for line in graph.strip().splitlines()]
    lines += [f'  result m0 "{key}" = {key}' for key in outputs]
    return lines + ["}"]


def number(value):
    """A float as the text form writes it."""
    value = float(value)
    return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(str(value), repr(value))


def numbers(tensor):
    """A tensor's elements for JSON, row-major: 13 digits, whole numbers without a point."""
    def one(x):
        if x != x or x in (float("inf"), float("-inf")):
            return str(x)
        return int(x) if x == int(x) and abs(x) < 1e15 else float(f"{x:.13g}")

    return [one(x) for x in tensor.detach().flatten().tolist()]


def write(corpus, path):
    """Writes a family's cases: a field a line, a list of numbers or of strings on one line."""
    def field(value, indent):
        if isinstance(value, list) and value and isinstance(value[0], str) and indent == 3:
            inner = ",\n".join("    " + json.dumps(line) for line in value)
            return f"[\n{inner}\n   ]"
        if isinstance(value, dict) and value and indent < 5:
            inner = ",\n".join(
                " " * (indent + 1) + f"{json.dumps(k)}: {field(v, 5)}" for k, v in value.items()
            )
            return f"{{\n{inner}\n{' ' * indent}}}"
        return json.dumps(value)

    def whole(case):
        lines = []
        for key, value in case.items():
            shown = field(value, 3 if key == "graph" else 4 if isinstance(value, dict) else 5)
            lines.append(f"   {json.dumps(key)}: {shown}")
        return "  {\n" + ",\n".join(lines) + "\n  }"

    head = f'{{\n "torch": {json.dumps(torch.__version__.split("+")[0])},\n "cases": [\n'
    path.write_text(head + ",\n".join(whole(c) for c in corpus.cases) + "\n ]\n}\n")
