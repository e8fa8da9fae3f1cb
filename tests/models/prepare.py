"""Makes a model of the zoo ready to be recorded: weights that hide nothing, and no randomness in training."""

import copy
import zlib

import torch
from torch import nn

from zoo import MODELS

# Probabilities that are plain numbers of a module, by the names that torchvision and the zoo give them.
PROBABILITIES = ("dropout", "attention_dropout", "drop_rate")
PASSES = 3


def build(name, small):
    """The case of a model, its weights drawn by a generator that the model's name seeds."""
    torch.manual_seed(zlib.crc32(name.encode()))
    case = MODELS[name](small)
    unsettle(case.module)
    warm(case)
    return case


@torch.no_grad()
def unsettle(module):
    """Moves parameters that start as one number each, such as norms' scales and biases: a front end that
    leaves one out, or takes it for another, would not be seen otherwise."""
    for parameter in module.parameters():
        if (parameter == parameter.flatten()[0]).all():
            parameter += 0.1 * torch.randn_like(parameter)


@torch.no_grad()
def warm(case):
    """Gives batch norms the running statistics of a few batches like the case's inputs."""
    norms = [part for part in case.module.modules() if isinstance(part, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        # The plain mean over all batches, however slowly training would take them in.
        norm.momentum = None
    case.module.train()
    for _ in range(PASSES):
        case.module(*(torch.randn_like(value) for value in case.inputs.values()))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum


def without_randomness(module):
    """A copy of a module in which nothing is drawn: every probability is 0."""
    module = copy.deepcopy(module)
    for part in module.modules():
        if isinstance(getattr(part, "p", None), float):
            part.p = 0.0
        for name in PROBABILITIES:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, 0.0)
    return module
