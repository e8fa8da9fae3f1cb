"""Writes a traced PyTorch model as JSON and safetensors: the form that `FORMAT.md` describes.

This file needs nothing but PyTorch, 2.3 or later, and may be copied to where a model lives:

    import compact
    compact.save(compact.trace(module.train(), (x,), {"x": {0: torch.export.Dim("batch")}}), "model")

writes `model.json` and `model.safetensors`. A `.pt2` archive is converted by

    python compact.py model.pt2 model
"""

import ctypes
import json
import math
import re
import struct
import sys

import torch

VERSION = 1

class Unsupported(Exception):
    """The model has something that the format has no word for."""


def trace(module, args, dynamic_shapes=None):
    """Traces a module as it is, in training or evaluation, before anything is decomposed.

    Gives an `ExportedProgram`; PyTorch 2.3 and 2.4 give a graph module, which `save` takes too.
    """
    release = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if release >= (2, 6):
        return torch.export.export(module, args, dynamic_shapes=dynamic_shapes)
    if release == (2, 5):
        return torch.export.export_for_training(module, args, dynamic_shapes=dynamic_shapes, strict=False)
    from torch._export import capture_pre_autograd_graph

    traced = capture_pre_autograd_graph(module, args, dynamic_shapes=dynamic_shapes)
    # What is traced has names of its own for parameters and buffers.
    traced.meta["states"] = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    traced.meta["persistent"] = list(module.state_dict())
    return traced


def save(program, stem):
    """Writes `STEM.json` and `STEM.safetensors` of an exported program or a traced graph module."""
    document, state = of_program(program) if hasattr(program, "graph_signature") else of_module(program)
    document["aliases"] = {}
    kept = {}
    for name, tensor in state.items():
        # Parameters that are tied are one tensor under two names.
        first = next((other for other, seen in kept.items() if same(seen, tensor)), None)
        if first is None:
            kept[name] = tensor
        else:
            document["aliases"][name] = first
    with open(f"{stem}.json", "w", encoding="utf-8") as out:
        out.write(text(document) + "\n")
    write_safetensors(kept, f"{stem}.safetensors")


def of_program(program):
    """The document and the state of an exported program."""
    signature = program.graph_signature
    nodes = list(program.graph.nodes)
    values = {node.name: node for node in nodes if node.op == "placeholder"}
    inputs, state = [], {}
    for spec in signature.input_specs:
        kind = spec.kind.name
        name = getattr(spec.arg, "name", None)
        entry = {"name": name}
        if kind == "USER_INPUT":
            entry = {"kind": "user", **entry}
            if not hasattr(spec.arg, "value"):
                entry.update(described(values[name].meta.get("val")))
            else:
                entry["value"] = literal(spec.arg.value)
        elif kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            tensor = found(program, spec.target)
            word = {"PARAMETER": "parameter", "BUFFER": "buffer", "CONSTANT_TENSOR": "constant"}[kind]
            entry = {"kind": word, **entry, "target": spec.target, **described(tensor)}
            if kind == "BUFFER":
                entry["persistent"] = getattr(spec, "persistent", None) is not False
            keep(state, spec.target, tensor)
        else:
            raise Unsupported(f"an input of kind {kind}, {name}")
        inputs.append(entry)
    # States that nothing reads, and other names of tied parameters, have no input of their own.
    for target, tensor in program.state_dict.items():
        keep(state, target, tensor)
    outputs = []
    for spec in signature.output_specs:
        value = output(spec.arg, nodes)
        if spec.kind.name == "USER_OUTPUT":
            outputs.append({"kind": "user", "value": value})
        elif spec.kind.name == "BUFFER_MUTATION":
            outputs.append({"kind": "buffer_mutation", "target": spec.target, "value": value})
        else:
            raise Unsupported(f"an output of kind {spec.kind.name}")
    ranges = {str(symbol): limits(span) for symbol, span in program.range_constraints.items()}
    document = header(ranges, inputs, body(program.graph_module, nodes), outputs)
    return document, state


def of_module(module):
    """The same of a graph module that reads its parameters and buffers by name."""
    nodes = list(module.graph.nodes)
    inputs, state, outputs, ranges = [], {}, [], {}
    persistent = module.meta.get("persistent") or list(module.state_dict())
    states = module.meta.get("states") or [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    for node in nodes:
        if node.op == "placeholder":
            inputs.append({"kind": "user", "name": node.name, **described(node.meta.get("val"))})
            ranges.update(symbols(node.meta.get("val")))
        elif node.op == "get_attr" and not isinstance(attribute(module, node.target), torch.nn.Module):
            tensor = attribute(module, node.target)
            names = [name for name, held in states if held is tensor] or [node.target]
            kind = "parameter" if isinstance(tensor, torch.nn.Parameter) else "buffer"
            if names == [node.target]:
                kind = "constant"
            entry = {"kind": kind, "name": node.name, "target": names[0], **described(tensor)}
            if kind == "buffer":
                entry["persistent"] = names[0] in persistent
            inputs.append(entry)
            # A tied parameter is read under its first name and has the others too.
            for name in names:
                keep(state, name, tensor)
        elif node.op == "output":
            for value in flat(node.args[0]):
                outputs.append({"kind": "user", "value": argument(value)})
    for name, tensor in states:
        # What nothing reads is kept too, as a state dict would.
        if name in persistent:
            keep(state, name, tensor)
    return header(ranges, inputs, body(module, nodes), outputs), state


def header(ranges, inputs, nodes, outputs):
    return {
        "format": "compact-graph",
        "version": VERSION,
        "torch": torch.__version__.split("+")[0],
        "dims": dict(sorted(ranges.items())),
        "inputs": inputs,
        "nodes": nodes,
        "outputs": outputs,
    }


def body(module, nodes):
    """The operators of a graph in order. Taking a part of a result is part of the operator that gives it."""
    parts = {}
    for node in nodes:
        if taken(node):
            parts.setdefault(node.args[0].name, {})[node.args[1]] = node.name
    return [
        operator(module, node, parts.get(node.name, {}))
        for node in nodes
        if node.op == "call_function" and not taken(node)
    ]


def taken(node):
    return node.op == "call_function" and getattr(node.target, "__name__", "") == "getitem"


def operator(module, node, parts):
    entry = {"name": node.name, "op": op_name(node.target), "args": {}}
    schema = getattr(node.target, "_schema", None)
    declared = schema.arguments if schema is not None else []
    for position, value in enumerate(node.args):
        name = declared[position].name if position < len(declared) else str(position)
        kind = str(declared[position].type) if position < len(declared) else ""
        entry["args"][name] = argument(value, kind, module)
    kinds = {one.name: str(one.type) for one in declared}
    for name, value in node.kwargs.items():
        entry["args"][name] = argument(value, kinds.get(name, ""), module)
    value = node.meta.get("val")
    if isinstance(value, (tuple, list)):
        # Results that nothing takes have names too, so that a result's place tells which it is.
        entry["outputs"] = [
            None if part is None else {"name": parts.get(place, f"{node.name}.{place}"), **described(part)}
            for place, part in enumerate(value)
        ]
    elif value is None:
        entry["outputs"] = []
    else:
        entry["outputs"] = [{"name": node.name, **described(value)}]
    path = module_path(node)
    if path:
        entry["path"] = path
    return entry


def op_name(target):
    """`aten.conv2d.default`, `operator.add`, `higher_order.cond`."""
    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    name = getattr(target, "__name__", None) or str(target)
    space = getattr(target, "__module__", "") or ""
    return f"operator.{name}" if "operator" in space else f"higher_order.{name}"


def module_path(node):
    """Where in the model's modules a node comes from: `layer1.0.conv1`, or nothing for its own code.

    Releases spell it `layer1.0.conv1`, `L['self'].layer1[0].conv1`, `L['self'].layer1._modules['0'].conv1`.
    """
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    path = re.sub(r"^L\['\w+'\]", "", list(stack.values())[-1][0])
    path = re.sub(r"(?:\._modules)?\[['\"]?(\w+)['\"]?\]", r".\1", path).lstrip(".")
    return "" if path.startswith("_empty_nn_module_stack") else path


def found(program, target):
    for table in (program.state_dict, program.constants):
        if target in table:
            return table[target]
    raise Unsupported(f"no value for {target}")


def attribute(module, target):
    for part in target.split("."):
        module = getattr(module, part)
    return module


def keep(state, target, tensor):
    held = state.setdefault(target, tensor)
    if held is not tensor and not same(held, tensor):
        raise Unsupported(f"two different tensors are called {target}")


def flat(value):
    if isinstance(value, (tuple, list)):
        return [one for part in value for one in flat(part)]
    if isinstance(value, dict):
        return [one for part in value.values() for one in flat(part)]
    return [value]


def output(arg, nodes):
    if hasattr(arg, "value"):
        return literal(arg.value)
    return argument(next(node for node in nodes if node.name == arg.name))


def argument(value, kind="", module=None):
    """A value that an operator is called with, tagged by what it is.

    `kind` is the type in the operator's schema, which tells an empty list of numbers from one of tensors.
    """
    if isinstance(value, torch.fx.Node):
        held = value.meta.get("val")
        if value.op == "get_attr" and module is not None:
            inner = attribute(module, value.target)
            if isinstance(inner, torch.fx.GraphModule):
                return {"graph": nested(inner)}
        return {"sym": value.name} if symbolic(held) else {"tensor": value.name}
    if isinstance(value, (tuple, list)):
        return sequence(value, kind, module)
    return literal(value)


def sequence(value, kind, module):
    tensors = all(one is None or isinstance(one, torch.fx.Node) and not symbolic(one.meta.get("val")) for one in value)
    if "Tensor" in kind or value and tensors:
        return {"tensors": [None if one is None else one.name for one in value]}
    if value and all(isinstance(one, bool) for one in value):
        return {"bools": list(value)}
    if all(type(one) is int for one in value):
        return {"floats": []} if not value and "float" in kind else {"ints": list(value)}
    if all(type(one) in (int, float) for one in value):
        return {"floats": [number(float(one)) for one in value]}
    if all(type(one) is int or isinstance(one, torch.fx.Node) for one in value):
        return {"syms": [one if type(one) is int else one.name for one in value]}
    return {"list": [argument(one, "", module) for one in value]}


def nested(module):
    """A graph that an operator is called with. Its inputs are all given by that operator."""
    nodes = list(module.graph.nodes)
    inputs = [
        {"kind": "user", "name": node.name, **described(node.meta.get("val"))}
        for node in nodes
        if node.op == "placeholder"
    ]
    last = next(node for node in nodes if node.op == "output")
    outputs = [{"kind": "user", "value": argument(value)} for value in flat(last.args[0])]
    return {"inputs": inputs, "nodes": body(module, nodes), "outputs": outputs}


def literal(value):
    if value is None:
        return {"none": True}
    for kind, tag in ((bool, "bool"), (int, "int"), (str, "string")):
        if isinstance(value, kind):
            return {tag: value}
    if isinstance(value, float):
        return {"float": number(value)}
    for kind, tag in ((torch.dtype, "dtype"), (torch.memory_format, "memory_format"), (torch.layout, "layout")):
        if isinstance(value, kind):
            return {tag: str(value).replace("torch.", "")}
    if isinstance(value, torch.device):
        return {"device": str(value)}
    raise Unsupported(f"an argument of type {type(value).__name__}")


def number(value):
    """JSON has no words for these."""
    return value if math.isfinite(value) else str(value)


def symbolic(value):
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool, bool, int, float))


def described(value):
    """What a value is: `dtype` and `shape`, or `sym` for a number, as an expression of symbolic dims."""
    if isinstance(value, torch.Tensor):
        return {"dtype": str(value.dtype).replace("torch.", ""), "shape": [dim(size) for size in value.shape]}
    if symbolic(value):
        kind = next(word for word in ("Bool", "Float", "Int") if word.lower() in type(value).__name__.lower())
        return {"type": kind.lower(), "sym": dim(value)}
    raise Unsupported(f"a value of type {type(value).__name__}")


def dim(size):
    return size if type(size) in (int, float, bool) else str(size.node.expr)


def limits(span):
    """The least and greatest size of a symbolic dim; null for no bound."""
    least, greatest = (str(bound) for bound in (span.lower, span.upper))
    plain = [bound if bound.lstrip("-").isdigit() else None for bound in (least, greatest)]
    # Releases before 2.5 spell "no bound" as the greatest integer less one.
    return {
        "min": None if plain[0] is None else int(plain[0]),
        "max": None if plain[1] is None or int(plain[1]) >= sys.maxsize - 1 else int(plain[1]),
    }


def symbols(value):
    """The symbolic dims that a value's shape has, with what the tracer knows of their sizes."""
    if not isinstance(value, torch.Tensor):
        return {}
    ranges = {}
    for size in value.shape:
        if isinstance(size, torch.SymInt):
            for symbol in size.node.expr.free_symbols:
                ranges[str(symbol)] = limits(size.node.shape_env.var_to_range[symbol])
    return ranges


def same(first, second):
    return (first.data_ptr(), first.shape, first.stride(), first.dtype) == (
        second.data_ptr(),
        second.shape,
        second.stride(),
        second.dtype,
    ) and first.numel() > 0


DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_safetensors(tensors, path):
    """Writes tensors row-major and little-endian, in the order of their names."""
    table, parts, place = {}, [], 0
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        if tensor.dtype not in DTYPES:
            raise Unsupported(f"{name} is of {tensor.dtype}")
        size = tensor.numel() * tensor.element_size()
        table[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [place, place + size],
        }
        # Read in place: tensors of bfloat16 have no form in numpy.
        parts.append(ctypes.string_at(tensor.data_ptr(), size) if size else b"")
        place += size
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(head)) + head)
        for part in parts:
            out.write(part)


def text(document):
    """JSON with a line for each input, node and output."""
    fields = []
    for name, value in document.items():
        if isinstance(value, list):
            lines = ",\n".join("  " + json.dumps(one) for one in value)
            fields.append(f' {json.dumps(name)}: [\n{lines}\n ]' if value else f" {json.dumps(name)}: []")
        else:
            fields.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(fields) + "\n}"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: compact.py MODEL.pt2 STEM")
    save(torch.export.load(sys.argv[1]), sys.argv[2])
