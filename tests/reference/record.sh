#!/bin/sh
# Records all reference values anew: makes the environment where there is none and runs PyTorch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/environment.sh")
PYTHONDONTWRITEBYTECODE=1 "$python" "$here/ops.py"
