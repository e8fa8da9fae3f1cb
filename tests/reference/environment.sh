#!/bin/sh
# Makes the pinned Python environment of the reference scripts, or leaves it be where it stands,
# and prints the path of its interpreter. Everything else that is said goes to standard error.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$(cd "$here/../.." && pwd)/.venv
stamp=$venv/requirements.txt
if ! cmp -s "$here/requirements.txt" "$stamp"; then
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        -r "$here/requirements.txt" >&2
    "$venv/bin/python" -c 'import torch; torch.zeros(1).exp()' >&2
    # Copied last: an interrupted installation is begun again.
    cp "$here/requirements.txt" "$stamp"
fi
echo "$venv/bin/python"
