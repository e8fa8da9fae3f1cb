#!/bin/sh
# Records the full models into a folder: `full.sh FOLDER [MODEL...]`. They take some gigabytes, so the
# folder should be one that git ignores, such as one under `target`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { echo "usage: full.sh FOLDER [MODEL...]" >&2; exit 2; }
out=$1
shift
python=$("$here/environment.sh")
PYTHONDONTWRITEBYTECODE=1 "$python" "$here/export.py" "$@" --size full --out "$out"
