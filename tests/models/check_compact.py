"""Holds `compact.py` against the models themselves, under whatever PyTorch runs this.

Each small model is traced in evaluation and in training without randomness, written, read back from the two
files alone, run by a small interpreter, and compared: outputs, and buffers afterwards.
"""

import json
import operator
import pathlib
import sys
import tempfile
import warnings

import torch

import compact
import prepare
from zoo import MODELS

TAGS = {"int", "ints", "bool", "bools", "string"}
READ = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "BOOL": torch.bool}


class Run:
    """The values of a document while its nodes run, from given user inputs."""

    def __init__(self, stem, inputs):
        self.document = json.loads(pathlib.Path(f"{stem}.json").read_text())
        self.state = read(f"{stem}.safetensors")
        for name, first in self.document["aliases"].items():
            self.state[name] = self.state[first]
        self.values = {}
        given = iter(inputs)
        for entry in self.document["inputs"]:
            user = entry["kind"] == "user"
            self.values[entry["name"]] = next(given) if user else self.state[entry["target"]]
            sizes = list(self.values[entry["name"]].shape)
            fixed = [at for at, size in enumerate(entry["shape"]) if isinstance(size, int)]
            assert all(sizes[at] == entry["shape"][at] for at in fixed), entry
        with torch.no_grad():
            for node in self.document["nodes"]:
                self.step(node)
        self.outputs = []
        for entry in self.document["outputs"]:
            if entry["kind"] == "user":
                self.outputs.append(self.argument(entry["value"]))
            else:
                self.state[entry["target"]] = self.argument(entry["value"])

    def step(self, node):
        space, name, overload = (node["op"] + ".").split(".")[:3]
        arguments = {key: self.argument(value) for key, value in node["args"].items()}
        if space == "operator":
            result = getattr(operator, name)(*arguments.values())
        else:
            result = getattr(getattr(getattr(torch.ops, space), name), overload)(**arguments)
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        for place, entry in enumerate(node["outputs"]):
            if entry is not None:
                self.values[entry["name"]] = results[place]

    def argument(self, tagged):
        ((tag, value),) = tagged.items()
        if tag in TAGS:
            return value
        if tag == "none":
            return None
        if tag in ("tensor", "sym"):
            return self.values[value]
        if tag == "tensors":
            return [None if one is None else self.values[one] for one in value]
        if tag == "syms":
            return [one if isinstance(one, int) else self.values[one] for one in value]
        if tag == "float":
            return float(value)
        if tag == "floats":
            return [float(one) for one in value]
        if tag in ("dtype", "memory_format", "layout"):
            return getattr(torch, value)
        if tag == "device":
            return torch.device(value)
        raise ValueError(f"unknown tag {tag}")


def read(path):
    """The tensors of a safetensors file, read by its definition and not by `compact`."""
    content = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        first, last = (start + place for place in entry["data_offsets"])
        part = bytearray(content[first:last])
        dtype = READ[entry["dtype"]]
        flat = torch.frombuffer(part, dtype=dtype) if part else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


def check(name, training, folder):
    case = prepare.build(name, small=True)
    module = prepare.without_randomness(case.module).train(training)
    names = sorted({dim for sizes in case.dynamic.values() for dim in sizes.values()})
    dims = {dim: torch.export.Dim(dim, max=case.limits.get(dim, 4096)) for dim in names}
    shapes = {
        argument: {at: dims[dim] for at, dim in sizes.items()} for argument, sizes in case.dynamic.items()
    }
    inputs = tuple(case.inputs.values())
    said = ""
    try:
        program = compact.trace(module, inputs, shapes)
    except Exception as why:
        # Older releases cannot trace all of these with symbolic dims.
        said = f" (fixed dims, because {type(why).__name__})"
        program = compact.trace(module, inputs)
    compact.save(program, folder / name)
    run = Run(folder / name, inputs)
    with torch.no_grad():
        expected = module(*inputs)
    expected = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    assert len(expected) == len(run.outputs)
    for got, wanted in zip(run.outputs, expected):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)
    held = module.state_dict()
    for key, value in run.state.items():
        if key in held:
            torch.testing.assert_close(value, held[key], rtol=1e-5, atol=1e-6)
    absent = held.keys() - run.state.keys()
    assert not absent, f"not in the file: {sorted(absent)}"
    return said


def main():
    warnings.simplefilter("ignore")
    failures = 0
    print(f"torch {torch.__version__}")
    for name in sys.argv[1:] or sorted(MODELS):
        for training in (False, True):
            form = "train" if training else "eval"
            with tempfile.TemporaryDirectory() as folder:
                try:
                    print(f"{name} {form}: same{check(name, training, pathlib.Path(folder))}")
                except Exception as why:
                    failures += 1
                    print(f"{name} {form}: {type(why).__name__}: {str(why).splitlines()[:1]}")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
