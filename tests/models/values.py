"""The framework's own numbers for a case: outputs in evaluation, and one step of training.

Everything is computed in float64 from the float32 weights and inputs, and rounded to float32 once. The
same in float32 throughout tells how far the framework itself is off: `float32_error` of `meta.json`.
"""

import copy

import torch
import torch.nn.functional as F


def main_output(outputs):
    """Some models give more than one output in training; the loss is about the first."""
    return outputs if isinstance(outputs, torch.Tensor) else outputs[0]


def converted(value, dtype):
    return value.to(dtype) if value.is_floating_point() else value


def evaluate(case, dtype):
    """The outputs of a case in evaluation, by name."""
    module = copy.deepcopy(case.module).to(dtype).eval()
    with torch.no_grad():
        outputs = module(*(converted(value, dtype) for value in case.inputs.values()))
    return {"output": outputs}


def step(module, case, dtype):
    """One pass of training: `loss`, `output`, `gradient/NAME` of every parameter that the loss depends on,
    and `buffer/NAME` of every buffer after it. Names are those of the state dict."""
    module = copy.deepcopy(module).to(dtype).train()
    module.zero_grad(set_to_none=True)
    output = main_output(module(*(converted(value, dtype) for value in case.inputs.values())))
    loss = F.cross_entropy(output.flatten(0, -2), case.labels.flatten())
    loss.backward()
    values = {"loss": loss.detach(), "output": output.detach()}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            values[f"gradient/{name}"] = parameter.grad
    persistent = module.state_dict()
    for name, buffer in module.named_buffers():
        if name in persistent:
            values[f"buffer/{name}"] = buffer
    return values


def rounded(values):
    return {name: converted(value, torch.float32).contiguous() for name, value in values.items()}


def error(got, expected, floor=0.0):
    """The greatest difference of two tensors, relative to the greatest element or to `floor`, in two digits."""
    scale = max(expected.abs().max().item(), floor)
    return float(f"{((got.double() - expected.double()).abs().max().item() / scale):.1e}") if scale else 0.0


def errors(got, expected, prefix=""):
    """The greatest error over all float tensors whose names begin so.

    A tensor that is small beside the others, as the gradient of a bias before a batch norm is nothing but
    rounding, is held against a thousandth of the greatest of them.
    """
    chosen = {
        name: value
        for name, value in expected.items()
        if name.startswith(prefix) and value.is_floating_point()
    }
    floor = 1e-3 * max((value.abs().max().item() for value in chosen.values()), default=0.0)
    return max((error(got[name], value, floor) for name, value in chosen.items()), default=0.0)
