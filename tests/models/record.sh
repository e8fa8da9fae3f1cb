#!/bin/sh
# Records the small models anew, into `fixtures`: makes the environment where there is none.
# `record.sh MODEL...` records only these.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/environment.sh")
PYTHONDONTWRITEBYTECODE=1 "$python" "$here/export.py" "$@" --size small --out "$here/fixtures"
