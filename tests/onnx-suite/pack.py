"""Packs the backend test cases of the `onnx` package for tests that have no Python.

    pack.py FILE

Cases of more than 300,000 bytes and the networks of `light` are left out: `onnx_suite.py` of ../models lays
them out, too.
"""

import io
import json
import lzma
import pathlib
import sys
import tarfile
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "models"))
warnings.simplefilter("ignore")

import onnx_suite  # noqa: E402

MOST = 300_000
KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")


def main():
    entries = []
    for kind in KINDS:
        for name, case, files in onnx_suite.cases(kind):
            tolerance = json.dumps({"rtol": case.rtol, "atol": case.atol}) + "\n"
            files["tolerance.json"] = tolerance.encode()
            if sum(map(len, files.values())) <= MOST:
                entries += [(f"{kind}/{name}/{path}", content) for path, content in files.items()]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as out:
        for path, content in entries:
            # Of no owner and no time.
            about = tarfile.TarInfo(path)
            about.size = len(content)
            out.addfile(about, io.BytesIO(content))
    packed = lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    pathlib.Path(sys.argv[1]).write_bytes(packed)
    print(f"{len(entries)} files, {len(packed)} bytes")


if __name__ == "__main__":
    main()
