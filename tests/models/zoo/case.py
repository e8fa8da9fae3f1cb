"""What a model of the zoo is: a module, inputs for it, and a loss to train it by one step."""

import dataclasses
import typing

import torch
from torch import nn

MODELS = {}


@dataclasses.dataclass
class Case:
    """One model in one size.

    `inputs` are the arguments of `forward`, in order and by name. `dynamic` names the symbolic dims of
    each input by position, as in `{"x": {0: "batch"}}`; a name may come twice. `limits` are the
    greatest sizes of such dims, where the model has one. `labels` are classes: `[batch]` for outputs
    `[batch, classes]`, `[batch, time]` for outputs `[batch, time, classes]`. `random` asks for the training
    program with the module's own probabilities too.
    """

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor
    dynamic: dict[str, dict[int, str]]
    limits: dict[str, int] = dataclasses.field(default_factory=dict)
    random: bool = False


def model(build: typing.Callable[[bool], Case]):
    """Adds a model under its function's name; the function is told whether the size is `small`."""
    if build.__name__ in MODELS:
        raise ValueError(f"two models are called {build.__name__}")
    MODELS[build.__name__] = build
    return build


def images(module: nn.Module, batch: int, side: int, classes: int, random: bool = False) -> Case:
    """The case of a classifier of square images, `x` of `[batch, 3, side, side]`."""
    x = torch.randn(batch, 3, side, side)
    labels = torch.randint(0, classes, (batch,))
    return Case(module, {"x": x}, labels, {"x": {0: "batch"}}, random=random)


def narrow(module: nn.Module, divisor: int, keep: typing.Iterable[int] = (3,)) -> nn.Module:
    """Divides the channels of all convolutions, linear layers and batch norms, in place.

    For classes of torchvision that hard-code their widths. Counts in `keep` stay: the colours of an
    image and the classes of the head. A part that has the same count loses its own width with it, so
    `keep` must name none of the module's inner widths.
    """
    keep = set(keep)

    def less(channels):
        return channels if channels in keep else max(1, round(channels / divisor))

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                made = nn.Conv2d(
                    less(child.in_channels),
                    less(child.out_channels),
                    child.kernel_size,
                    child.stride,
                    child.padding,
                    child.dilation,
                    1 if child.groups == 1 else less(child.groups),
                    child.bias is not None,
                )
            elif isinstance(child, nn.Linear):
                made = nn.Linear(less(child.in_features), less(child.out_features), child.bias is not None)
            elif isinstance(child, nn.BatchNorm2d):
                made = nn.BatchNorm2d(less(child.num_features), child.eps, child.momentum)
            else:
                continue
            setattr(parent, name, made)
    return module
