"""Lays out the backend test cases of the `onnx` package as files, for tests that have no Python.

    onnx_suite.py DIR [--pack zip|tar|tar.gz|tar.xz] [--most BYTES]

Writes `DIR/KIND/NAME/model.onnx`, `DIR/KIND/NAME/test_data_set_K/{input,output}_I.pb`, and
`DIR/KIND/NAME/tolerance.json` with the relative and absolute tolerance that the case asks for. An optional
input that is left out has no file. With `--pack`, each kind is one archive `DIR/KIND.zip` or the like
instead, with the same paths inside, equal bytes for equal versions; a tape archive compresses several times
better, because most files are tiny and alike. With `--most`, cases of more bytes are left out. The counts and
sizes are printed.
"""

import argparse
import gzip
import io
import json
import lzma
import pathlib
import tarfile
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


def archive(entries, form):
    """The bytes of an archive that depend on nothing but its entries."""
    held = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
            for path, content in entries:
                out.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED, 9)
        return held.getvalue()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as out:
        for path, content in entries:
            # Of no owner and no time.
            about = tarfile.TarInfo(path)
            about.size = len(content)
            out.addfile(about, io.BytesIO(content))
    if form == "tar.gz":
        return gzip.compress(held.getvalue(), 9, mtime=0)
    if form == "tar.xz":
        return lzma.compress(held.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    return held.getvalue()


def main():
    parser = argparse.ArgumentParser(description="Lays out ONNX's backend test cases as files.")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--pack", choices=["zip", "tar", "tar.gz", "tar.xz"], help="one archive a kind")
    parser.add_argument("--most", type=int, default=None, metavar="BYTES", help="leave larger cases out")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        entries, sizes, left = [], {}, []
        for name, case, files in cases(kind):
            tolerance = {"rtol": case.rtol, "atol": case.atol}
            files["tolerance.json"] = (json.dumps(tolerance) + "\n").encode()
            size = sum(map(len, files.values()))
            if arguments.most is not None and size > arguments.most:
                left.append(name)
                continue
            entries += [(f"{name}/{path}", content) for path, content in files.items()]
            sizes[name] = size
        said = f"{kind}: {len(sizes)} cases, {len(entries)} files, {sum(sizes.values())} bytes"
        if arguments.pack:
            packed = archive(entries, arguments.pack)
            (arguments.out / f"{kind}.{arguments.pack}").write_bytes(packed)
            said += f", {len(packed)} packed"
        else:
            for path, content in entries:
                target = arguments.out / kind / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        largest = sorted(sizes, key=sizes.get, reverse=True)[:5]
        print(f"{said}; largest {', '.join(f'{name} {sizes[name]}' for name in largest)}")
        if left:
            print(f"  left out: {', '.join(left)}")


if __name__ == "__main__":
    main()
