#!/bin/sh
# Makes a small Python environment on top of the one of `../reference`, or leaves it be where it stands,
# and prints the path of its interpreter. Everything else that is said goes to standard error.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
base=$("$here/../reference/environment.sh")
venv=$here/.venv
stamp=$venv/requirements.txt
if ! cat "$here/../reference/requirements.txt" "$here/requirements.txt" | cmp -s - "$stamp"; then
    [ -x "$venv/bin/python" ] || "$base" -m venv --without-pip "$venv"
    site='import sysconfig; print(sysconfig.get_path("purelib"))'
    # PyTorch takes gigabytes: it is read where it lies.
    "$base" -c "$site" >"$("$venv/bin/python" -c "$site")/reference.pth"
    "$base" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check \
        --no-deps -r "$here/requirements.txt" >&2
    "$venv/bin/python" -c 'import torch, torchvision, onnx, onnxscript' >&2
    # Written last: an interrupted installation is begun again.
    cat "$here/../reference/requirements.txt" "$here/requirements.txt" >"$stamp"
fi
echo "$venv/bin/python"
