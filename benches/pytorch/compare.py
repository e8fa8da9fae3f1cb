"""Compares how fast the embedded engine and PyTorch's ordinary loop train the same families.

The two programs run alternately, so that whatever else the machine does meets both. Every repeat gives a pair, and
every pair a ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

FAMILIES = ["mlp-tiny", "mlp-large", "cnn"]
HERE = Path(__file__).resolve().parent


def run(command):
    """The line of JSON that a program prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def compare(family, threads, args):
    """Pairs of measurements of one family."""
    options = [family, "--threads", str(threads), "--models", str(args.models)]
    if args.steps:
        options += ["--steps", str(args.steps)]
    programs = {
        "syncarp": [args.program, *options],
        "pytorch": [sys.executable, str(HERE / "throughput.py"), *options],
    }
    rates = {name: [] for name in programs}
    losses = {}
    for repeat in range(args.repeats):
        # Each goes first in turn.
        order = list(programs) if repeat % 2 == 0 else list(programs)[::-1]
        for name in order:
            line = run(programs[name])
            rates[name].append(line["model_steps_per_second"])
            losses[name] = line["loss"]
    # First values are drawn otherwise, so that losses are near one another, not equal.
    if not 2 / 3 < losses["syncarp"] / losses["pytorch"] < 3 / 2:
        sys.exit(f"{family}: the programs train differently, as their last losses say: {losses}")
    ratios = [ours / theirs for ours, theirs in zip(rates["syncarp"], rates["pytorch"])]
    return {
        "family": family,
        "threads": threads,
        "models": args.models,
        "syncarp": rates["syncarp"],
        "pytorch": rates["pytorch"],
        "losses": losses,
        "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
    }


def row(found):
    ours, theirs = statistics.median(found["syncarp"]), statistics.median(found["pytorch"])
    ratio = found["ratio"]
    return (
        f"{found['family']:<10} {found['threads']:>7} {ours:>10.0f} {theirs:>10.0f} "
        f"{ratio['median']:>7.2f}  {ratio['min']:.2f} to {ratio['max']:.2f}"
    )


def main():
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", help=f"of {', '.join(FAMILIES)}; all of them unless given")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--models", type=int, default=16)
    parser.add_argument("--steps", type=int, help="steps of each model; each family's own number unless given")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="every measurement, one line for a family")
    parser.add_argument("--program", default=str(target / "release" / "throughput"))
    args = parser.parse_args()
    unknown = sorted(set(args.families) - set(FAMILIES))
    if unknown:
        parser.error(f"there is no family {', '.join(unknown)}")
    if args.repeats < 1:
        parser.error("there must be a repeat")
    if not Path(args.program).is_file():
        parser.error(f"{args.program} is missing: cargo build --release -p syncarp-benches")
    if not args.json:
        print(f"{args.models} models; model-steps per second, medians of {args.repeats}")
        print(f"{'family':<10} {'threads':>7} {'syncarp':>10} {'pytorch':>10} {'ratio':>7}  range")
    for family in args.families or FAMILIES:
        for threads in args.threads:
            found = compare(family, threads, args)
            print(json.dumps(found) if args.json else row(found), flush=True)


if __name__ == "__main__":
    main()
