"""A case as files of exported programs: `.pt2` and ONNX."""

import onnx
import onnx.reference
import torch

DYNAMO_OPSET = 23
SCRIPT_OPSET = 17
# Above this size, archives leave out the example inputs, a pickle that says nothing new.
EXAMPLE_BYTES = 2048


def symbolic(case):
    """The case's symbolic dims, as exporters take them."""
    names = sorted({name for sizes in case.dynamic.values() for name in sizes.values()})
    dims = {name: torch.export.Dim(name, max=case.limits.get(name)) for name in names}
    return {
        argument: {position: dims[name] for position, name in sizes.items()}
        for argument, sizes in case.dynamic.items()
    }


def trace(module, case):
    """The program of a module as it is, in evaluation or training, with the case's symbolic dims."""
    return torch.export.export(module, tuple(case.inputs.values()), dynamic_shapes=symbolic(case))


def save(program, path):
    """Writes an archive whose bytes depend on nothing but the program: without stack traces, which name
    files of this machine, and without the traced functions' names."""
    for part in program.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            for node in part.graph.nodes:
                node.meta.pop("stack_trace", None)
                node.meta.pop("torch_fn", None)
    size = sum(value.numel() * value.element_size() for value in program.example_inputs[0])
    if size > EXAMPLE_BYTES:
        program.example_inputs = None
    torch.export.save(program, path)


def targets(program):
    """How often each operator is called, graphs inside of graphs included."""
    counts = {}
    for part in program.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            for node in part.graph.nodes:
                if node.op == "call_function":
                    name = target_name(node.target)
                    counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def target_name(target):
    return str(target) if isinstance(target, torch._ops.OpOverload) else getattr(target, "__name__", str(target))


def dynamo(module, case, path, small):
    """Writes ONNX by the exporter that goes through `torch.export`."""
    torch.onnx.export(
        module,
        tuple(case.inputs.values()),
        str(path),
        input_names=list(case.inputs),
        output_names=["output"],
        opset_version=DYNAMO_OPSET,
        dynamic_shapes=symbolic(case),
        dynamo=True,
        external_data=not small,
        verbose=False,
    )
    return clean(path)


def script(module, case, path, small):
    """Writes ONNX by the exporter that runs the module once and writes down what ran."""
    axes = dict(case.dynamic)
    axes["output"] = {0: "batch"}
    if "time" in case.limits:
        axes["output"][1] = "time"
    torch.onnx.export(
        module,
        tuple(case.inputs.values()),
        str(path),
        input_names=list(case.inputs),
        output_names=["output"],
        opset_version=SCRIPT_OPSET,
        dynamic_axes=axes,
        dynamo=False,
    )
    if not small:
        held = onnx.load(path)
        path.unlink()
        onnx.save(held, path, save_as_external_data=True, location=path.name + ".data")
    return clean(path)


def clean(path):
    """Takes out what names files of this machine, checks the file, and counts its operators."""
    held = onnx.load(path, load_external_data=False)
    counts = {}

    def graph(part):
        for node in part.node:
            node.doc_string = ""
            del node.metadata_props[:]
            name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            counts[name] = counts.get(name, 0) + 1
            for attribute in node.attribute:
                attribute.doc_string = ""
                for inner in attribute.graphs:
                    graph(inner)
                if attribute.HasField("g"):
                    graph(attribute.g)
        del part.metadata_props[:]
        part.doc_string = ""
        for value in [*part.value_info, *part.input, *part.output, *part.initializer]:
            del value.metadata_props[:]

    graph(held.graph)
    for function in held.functions:
        del function.metadata_props[:]
        graph(function)
    del held.metadata_props[:]
    path.write_bytes(held.SerializeToString(deterministic=True))
    onnx.checker.check_model(path, full_check=True)
    return dict(sorted(counts.items()))


def reference(path, inputs):
    """What ONNX's own reference evaluator makes of a file."""
    held = onnx.reference.ReferenceEvaluator(str(path))
    found = held.run(None, {name: value.numpy() for name, value in inputs.items()})
    return torch.from_numpy(found[0])
