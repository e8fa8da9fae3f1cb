"""Text in, `canonicalize`, `cse`, dead code away, text out: Syncarp beside mlir-opt.

Both programs read the same graph (generate.py) and run alternately, so that what else the machine
does meets both. Prints the medians of wall time, processor time and peak memory, and their ratios.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import generate

HERE = Path(__file__).resolve().parent


def run(command):
    """Runs a command: wall seconds, processor seconds, peak bytes."""
    start = time.perf_counter()
    child = os.spawnvp(os.P_NOWAIT, command[0], command)
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def compare(models, ops, args, folder):
    """Runs both programs on one size: a row of figures."""
    syn, mlir = str(folder / "in.syn"), str(folder / "in.mlir")
    generate.write(models, ops, syn, mlir)
    commands = {
        "syncarp": [args.syncarp, "opt", syn, "--passes", "canonicalize,cse,dce",
                    "-o", str(folder / "out.syn")],
        "mlir": [args.mlir, mlir, "-canonicalize", "-cse", "-o", str(folder / "out.mlir")]
                + ([] if args.threads else ["--mlir-disable-threading"]),
    }
    taken = {name: [] for name in commands}
    for _ in range(args.repeats):
        for name, command in commands.items():
            taken[name].append(run(command))
    row = {"models": models, "ops": ops}
    for name, runs in taken.items():
        median = [statistics.median(column) for column in zip(*runs)]
        row[name] = dict(zip(("seconds", "processor_seconds", "bytes"), median))
    row["left"] = {
        "syncarp": sum(line.startswith("  v") for line in open(folder / "out.syn", encoding="utf-8")),
        "mlir": sum(line.startswith("    %") for line in open(folder / "out.mlir", encoding="utf-8")),
    }
    pairs = list(zip(taken["syncarp"], taken["mlir"]))
    for at, what in enumerate(("seconds", "processor_seconds", "bytes")):
        row[f"ratio_{what}"] = statistics.median(ours[at] / theirs[at] for ours, theirs in pairs)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--syncarp", default=str(HERE.parents[1] / "target/release/syncarp"))
    parser.add_argument("--mlir", default=shutil.which("mlir-opt-19") or "mlir-opt")
    parser.add_argument("--models", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--ops", type=int, default=1000, help="ops of a model")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", action="store_true", help="let mlir-opt use threads")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = []
    for models in args.models:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compare(models, args.ops, args, Path(folder)))
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'ops':>9}  {'program':8} {'wall s':>8} {'cpu s':>8} {'peak MB':>8} {'ops left':>9}")
    for row in rows:
        for name in ("syncarp", "mlir"):
            figures = row[name]
            print(f"{row['models'] * row['ops']:>9}  {name:8} {figures['seconds']:8.2f} "
                  f"{figures['processor_seconds']:8.2f} {figures['bytes'] / 1e6:8.0f} "
                  f"{row['left'][name]:>9}")
        print(f"{'':>9}  {'ratio':8} {row['ratio_seconds']:8.2f} "
              f"{row['ratio_processor_seconds']:8.2f} {row['ratio_bytes']:8.2f}")


if __name__ == "__main__":
    main()
