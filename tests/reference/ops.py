"""Records what PyTorch computes for every standard op: `ops/<family>.json`.

Run by `record.sh`, which makes the environment first.
"""

import pathlib

import torch

from cases import FAMILIES
from corpus import Corpus, write


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    here = pathlib.Path(__file__).resolve().parent / "ops"
    here.mkdir(exist_ok=True)
    for family, record in FAMILIES.items():
        corpus = Corpus(family)
        record(corpus)
        write(corpus, here / f"{family}.json")
        differentiated = sum(bool(c["differentiate"]) for c in corpus.cases)
        print(f"{family}: {len(corpus.cases)} cases, {differentiated} with gradients")


if __name__ == "__main__":
    main()
