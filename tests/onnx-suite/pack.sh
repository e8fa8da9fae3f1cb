#!/bin/sh
# Makes `cases.tar.xz` anew from the `onnx` package of ../models' Python environment.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$("$here/../models/environment.sh")" "$here/pack.py" "$here/cases.tar.xz"
