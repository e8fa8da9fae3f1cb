"""Records models of the zoo: exported programs and the framework's own numbers.

    export.py [MODEL...] [--size small|full] [--out DIR]

Each model gets a folder `DIR/MODEL`; `README.md` lists its files.
"""

import argparse
import contextlib
import io
import json
import pathlib
import shutil
import sys
import time
import warnings

import onnx
import onnxscript
import torch
import torchvision
from safetensors.torch import save_file

import prepare
import programs
import values
from zoo import MODELS


def main():
    parser = argparse.ArgumentParser(description="Records models of the zoo.")
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all of them, where none is named")
    parser.add_argument("--size", choices=["small", "full"], default="small")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "fixtures")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        parser.error(f"no model {unknown[0]}; there are {', '.join(sorted(MODELS))}")
    warnings.simplefilter("ignore")
    # Sums over more threads come out otherwise.
    torch.set_num_threads(1)
    for name in arguments.models or sorted(MODELS):
        begun = time.time()
        folder = arguments.out / name
        meta = record(name, arguments.size == "small", folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        failed = ", ".join(meta["failed"])
        print(f"{name}: {size} bytes, {time.time() - begun:.0f} s{', failed: ' + failed if failed else ''}")
        sys.stdout.flush()


def record(name, small, folder):
    """Writes all files of one model and gives back what `meta.json` says."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    case = prepare.build(name, small)
    steady = prepare.without_randomness(case.module)
    meta = {"model": name, "size": "small" if small else "full", "versions": versions()}
    meta |= describe(case)
    meta |= record_values(case, steady, folder)
    meta |= record_programs(case, steady, folder, small)
    if small:
        meta["onnx_reference_error"] = check_onnx(case, folder, meta["failed"])
    (folder / "meta.json").write_text(text(meta) + "\n")
    return meta


def text(value, depth=0):
    """JSON with one line for each thing that a table of `meta.json` holds."""
    if not isinstance(value, dict) or not value or depth == 2:
        return json.dumps(value)
    inner = " " * (depth + 1)
    lines = (f"{inner}{json.dumps(name)}: {text(part, depth + 1)}" for name, part in value.items())
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def versions():
    return {
        "torch": torch.__version__.split("+")[0],
        "torchvision": torchvision.__version__.split("+")[0],
        "onnx": onnx.__version__,
        "onnxscript": onnxscript.__version__,
    }


def describe(case):
    """What a case consists of: arguments, states, and states that are one under two names."""
    module = case.module
    trained = dict(module.named_parameters(remove_duplicate=False))
    held = module.state_dict()
    first, tied = {}, {}
    for name, parameter in trained.items():
        if id(parameter) in first:
            tied[name] = first[id(parameter)]
        first.setdefault(id(parameter), name)
    buffers = {name: value for name, value in module.named_buffers() if name not in held}
    return {
        "inputs": {
            name: shape(value) | {"dynamic": {str(at): dim for at, dim in case.dynamic[name].items()}}
            for name, value in case.inputs.items()
        },
        "limits": case.limits,
        "parameters": {name: shape(value) for name, value in held.items() if name in trained},
        "buffers": {name: shape(value) for name, value in held.items() if name not in trained},
        "buffers_not_in_state_dict": {name: shape(value) for name, value in buffers.items()},
        "tied": tied,
    }


def shape(value):
    return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape)}


def record_values(case, steady, folder):
    """Writes `inputs`, `outputs` and `step`."""
    save_file(case.inputs, folder / "inputs.safetensors")
    outputs = values.evaluate(case, torch.float64)
    step = values.step(steady, case, torch.float64)
    save_file(values.rounded(outputs), folder / "outputs.safetensors")
    save_file(values.rounded(step) | {"labels": case.labels}, folder / "step.safetensors")
    outputs_short = values.evaluate(case, torch.float32)
    step_short = values.step(steady, case, torch.float32)
    given = {name.removeprefix("gradient/") for name in step if name.startswith("gradient/")}
    return {
        "outputs": {name: shape(value) for name, value in outputs_short.items()},
        "loss": "mean cross entropy of the first output against `labels` of step.safetensors",
        "no_gradient": [name for name, _ in case.module.named_parameters() if name not in given],
        "float32_error": {
            "outputs": values.errors(outputs_short, outputs),
            "loss": values.errors(step_short, step, "loss"),
            "gradients": values.errors(step_short, step, "gradient/"),
            "buffers": values.errors(step_short, step, "buffer/"),
        },
    }


def record_programs(case, steady, folder, small):
    """Writes the exported programs, as far as they can be made."""
    failed, operators = {}, {}

    def attempt(file, make):
        path = folder / file
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                operators[file] = make(path)
        except Exception as why:
            path.unlink(missing_ok=True)
            failed[file] = f"{type(why).__name__}: {why}".split("\n")[0][:300]

    def archive(module):
        def make(path):
            program = programs.trace(module, case)
            programs.save(program, path)
            return programs.targets(program)

        return make

    attempt("train.pt2", archive(steady.train()))
    if case.random or not small:
        attempt("random.pt2", archive(case.module.train()))
    case.module.eval()
    attempt("eval.pt2", archive(case.module))
    attempt("dynamo.onnx", lambda path: programs.dynamo(case.module, case, path, small))
    attempt("script.onnx", lambda path: programs.script(case.module, case, path, small))
    return {"operators": operators, "failed": failed}


def check_onnx(case, folder, failed):
    """How far ONNX's own evaluator is off the recorded outputs, relative to the greatest."""
    expected = values.evaluate(case, torch.float64)["output"]
    found = {}
    for file in ("dynamo.onnx", "script.onnx"):
        if file not in failed:
            try:
                found[file] = values.error(programs.reference(folder / file, case.inputs), expected)
            except Exception as why:
                found[file] = f"{type(why).__name__}: {why}".split("\n")[0][:300]
    return found


if __name__ == "__main__":
    main()
