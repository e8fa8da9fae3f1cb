"""Prints how many steps of models PyTorch's ordinary training loop does in a second, as one line of JSON.

Families, data and counts are those of the `throughput` program of the same package. Models are trained one after
another, each in a loop of its own over the same batches.
"""

import argparse
import json
import time

import torch
from torch import nn

BATCH = 32
CLASSES = 10


def perceptron(*sizes):
    layers = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, CLASSES),
    )


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.01, momentum=0.9)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.001)


# Name: model, dims of one sample, optimizer, steps.
FAMILIES = {
    "mlp-tiny": (lambda: perceptron(64, 32, 32, CLASSES), (64,), sgd, 1000),
    "mlp-large": (lambda: perceptron(784, 256, 128, CLASSES), (784,), sgd, 150),
    "cnn": (convolutional, (1, 8, 8), adam, 150),
}


def batches(steps, sample):
    """All batches, made beforehand, so that the loop pays nothing for loading data."""
    rows = steps * BATCH
    length = torch.Size(sample).numel()
    y = torch.arange(rows) % CLASSES
    x = ((torch.arange(rows * length) * 37) % 101).float() / 101
    # A class shows in every tenth element, so that a loss which falls says that steps train.
    shows = torch.arange(length) % CLASSES == y[:, None]
    x = x.reshape(rows, length) + shows
    x = x.reshape(steps, BATCH, *sample).unbind()
    return list(zip(x, y.reshape(steps, BATCH).unbind()))


def train(seed, make, optimizer, data):
    """Trains one model; the seconds from the end of its second step, and its last loss."""
    torch.manual_seed(seed)
    model = make()
    criterion = nn.CrossEntropyLoss()
    optimizer = optimizer(model.parameters())
    begin = None
    for step, (x, y) in enumerate(data):
        if step == 2:
            begin = time.perf_counter()
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    return time.perf_counter() - begin, loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--models", type=int, default=16)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(args.threads)
    make, sample, optimizer, steps = FAMILIES[args.family]
    steps = args.steps or steps
    if steps < 3 or args.models < 1:
        parser.error("there must be a model, and at least 3 steps")
    data = batches(steps, sample)
    # What PyTorch sets up in a process's first steps is nobody's training.
    train(0, make, optimizer, data[:10])
    runs = [train(seed, make, optimizer, data) for seed in range(args.models)]
    seconds = sum(run[0] for run in runs)
    line = {
        "program": "pytorch",
        "family": args.family,
        "models": args.models,
        "threads": args.threads,
        "batch": BATCH,
        "steps": steps,
        "seconds": seconds,
        "model_steps_per_second": (steps - 2) * args.models / seconds,
        "loss": sum(run[1] for run in runs) / args.models,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
