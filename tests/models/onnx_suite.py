"""Lays out the backend test cases of the `onnx` package as files, for tests that have no Python.

    onnx_suite.py DIR [--zip]

Writes `DIR/KIND/NAME/model.onnx`, `DIR/KIND/NAME/test_data_set_K/{input,output}_I.pb`, and
`DIR/KIND/NAME/tolerance.json` with the relative and absolute tolerance that the case asks for. An optional
input that is left out has no file. With `--zip`, each kind is one archive `DIR/KIND.zip` instead, with the
same paths inside, equal bytes for equal versions. The counts and sizes are printed.
"""

import argparse
import io
import json
import pathlib
import zipfile

import onnx
import onnx.backend.test
from onnx import numpy_helper
from onnx.backend.test import loader
from onnx.backend.test.runner import Runner

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted", "light")
DATA = pathlib.Path(loader.DATA_DIR)


def stored(value, declared):
    """A value of a case as the bytes of its file: tensors, sequences, maps and optionals."""
    if isinstance(value, onnx.TensorProto):
        return value.SerializeToString()
    kind = declared.type.WhichOneof("value")
    convert = {
        "map_type": numpy_helper.from_dict,
        "sequence_type": numpy_helper.from_list,
        "optional_type": numpy_helper.from_optional,
        "tensor_type": numpy_helper.from_array,
    }[kind]
    return convert(value, declared.name).SerializeToString()


def node_cases():
    """Yields name, tolerances and files of the cases that are made in memory, one operator each."""
    for case in sorted(loader.load_model_tests(kind="node"), key=lambda case: case.name):
        files = {"model.onnx": case.model.SerializeToString(deterministic=True)}
        for number, (inputs, outputs) in enumerate(case.data_sets):
            for side, given, declared in (
                ("input", inputs, case.model.graph.input),
                ("output", outputs, case.model.graph.output),
            ):
                # A case may give fewer values than the graph declares, never more.
                for position, value in enumerate(given):
                    path = f"test_data_set_{number}/{side}_{position}.pb"
                    files[path] = stored(value, declared[position])
        yield case.name, case, files


def file_cases(kind):
    """Yields the same of the cases that the package holds as files."""
    for case in sorted(loader.load_model_tests(kind=kind), key=lambda case: case.name):
        folder = pathlib.Path(case.model_dir)
        # Some cases also carry values in the form of numpy, which say the same.
        found = sorted(path for path in folder.rglob("*") if path.suffix in (".onnx", ".pb"))
        yield case.name, case, {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def light_cases():
    """Yields the well-known networks: weights are constants made in the graph, and the one input is the
    same ramp for each, so that only the output is a file of the package."""
    for case in sorted(loader.load_model_tests(kind="real"), key=lambda case: case.name):
        path = DATA / "light" / pathlib.PurePosixPath(case.url).name
        model = onnx.load(path)
        weights = {initializer.name for initializer in model.graph.initializer}
        files = {"model.onnx": path.read_bytes()}
        inputs = [value for value in model.graph.input if value.name not in weights]
        for position, declared in enumerate(inputs):
            ramp = Runner.generate_dummy_data(declared, seed=0, name=case.model_name, random=False)
            files[f"test_data_set_0/input_{position}.pb"] = stored(ramp, declared)
        for position in range(len(model.graph.output)):
            expected = path.with_name(f"{path.stem}_output_{position}.pb")
            files[f"test_data_set_0/output_{position}.pb"] = expected.read_bytes()
        yield case.name, case, files


def cases(kind):
    return {"node": node_cases, "light": light_cases}.get(kind, lambda: file_cases(kind))()


def archive(entries):
    """The bytes of a zip archive that depend on nothing but its entries."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for path, content in entries:
            out.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED, 9)
    return held.getvalue()


def main():
    parser = argparse.ArgumentParser(description="Lays out ONNX's backend test cases as files.")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--zip", action="store_true", help="one archive for each kind")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        entries, sizes = [], {}
        for name, case, files in cases(kind):
            tolerance = {"rtol": case.rtol, "atol": case.atol}
            files["tolerance.json"] = (json.dumps(tolerance) + "\n").encode()
            entries += [(f"{name}/{path}", content) for path, content in files.items()]
            sizes[name] = sum(map(len, files.values()))
        packed = archive(entries)
        if arguments.zip:
            (arguments.out / f"{kind}.zip").write_bytes(packed)
        else:
            for path, content in entries:
                target = arguments.out / kind / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        largest = sorted(sizes, key=sizes.get, reverse=True)[:5]
        print(
            f"{kind}: {len(sizes)} cases, {len(entries)} files, {sum(sizes.values())} bytes, "
            f"{len(packed)} as one zip; largest "
            + ", ".join(f"{name} {sizes[name]}" for name in largest)
        )


if __name__ == "__main__":
    main()
