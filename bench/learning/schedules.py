"""Learning rates: their course over the updates, and the parameters that they are of."""

import math
from collections.abc import Callable
from typing import Any

from torch import nn

Schedule = Callable[[int], float]


def poly(steps: int, power: float = 0.5) -> Schedule:
    """Caffe's "poly" policy: the base rate times (1 - step / steps) ** power at update number `step`, from 0."""
    return lambda step: float((1 - step / steps) ** power)


def plateau(steps: float, rise: float, until: float) -> Schedule:
    """Up in a straight line for `rise` updates, constant to update number `until`, down in a straight line to zero."""
    return lambda step: min(1.0, (step + 1) / max(1.0, rise), (steps - step) / max(1.0, steps - until))


def one_cycle(steps: int, rise: float = 0.3) -> Schedule:
    """Up in a straight line for a share `rise` of the updates, then down as half a cosine."""
    top = max(1.0, rise * steps)
    return lambda step: (
        (step + 1) / top if step + 1 <= top else 0.5 + 0.5 * math.cos(math.pi * (step - top) / (steps - top))
    )


def constant(step: int) -> float:
    """The base rate throughout."""
    return 1.0


def parameter_groups(
    model: nn.Module, name: str, lr: float, weight_decay: float = 0.0, bias_lr: float = 1.0
) -> list[dict[str, Any]]:
    """Groups for an optimiser: ``name``, the weights; ``name.bias``, biases; ``name.norm``, gains and shifts of norms.

    A norm is a module whose ``weight``, the gain, has one dimension.
    weight_decay: of the weights; biases and norms have none.  bias_lr: the biases' learning rate, as a multiple of `lr`
    (2 in Caffe's habit).  A kind that the model lacks has no group.
    """
    weights, biases, norms = [], [], []
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False))
        norm = "weight" in own and own["weight"].ndim == 1
        for key, parameter in own.items():
            if norm:
                norms.append(parameter)
            elif key == "bias":
                biases.append(parameter)
            else:
                weights.append(parameter)
    groups = [
        {"name": name, "params": weights, "lr": lr, "weight_decay": weight_decay},
        {"name": f"{name}.bias", "params": biases, "lr": lr * bias_lr, "weight_decay": 0.0},
        {"name": f"{name}.norm", "params": norms, "lr": lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
