"""Checkpoints of a training, which a killed one goes on from."""

import io
import json
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from bench.errors import BenchError, StorageError
from bench.files import write_atomically
from bench.learning.compute import Compute
from bench.learning.schedules import Schedule

Curves = dict[str, Any]
CHANGING = ("lr", "fused", "foreach", "capturable", "differentiable")
"""Of an optimiser's group: what changes within a training, or with the device that it goes on on."""
SHOWN = ("identity", "seed", "steps", "accumulate", "precision")  # of a checkpoint, when it is another training's


def about_training(
    model: nn.Module,
    groups: Sequence[Mapping[str, Any]],
    schedule: Schedule,
    steps: int,
    accumulate: int,
    compute: Compute,
    seed: int,
    identity: str,
) -> dict[str, Any]:
    """What a checkpoint must agree on to be this training's, as plain values."""
    plain = (bool, int, float, str)
    about = {
        "identity": identity,
        "seed": seed,
        "steps": steps,
        "accumulate": accumulate,
        "precision": compute.precision,
        "model": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
        "groups": [
            {k: v for k, v in group.items() if isinstance(v, plain) and k not in CHANGING}
            | {"size": len(group["params"])}
            for group in groups
        ],
        "schedule": [schedule(step) for step in range(0, steps, max(1, steps // 8))],
    }
    return json.loads(json.dumps(about))


def same_groups(found: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an optimiser's groups agree in what both say: versions of torch differ in what groups hold."""
    pairs = zip(found, expected, strict=False)
    alike = all(own[key] == other[key] for own, other in pairs for key in own.keys() & other.keys())
    return len(found) == len(expected) and alike


def save(
    path: Path,
    about: Mapping[str, Any],
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    curves: Curves,
    window: Sequence[Mapping[str, float]],
    averaged: AveragedModel | None = None,
) -> None:
    state = {
        "about": about,
        "step": step,
        "curves": curves,
        "window": window,
        "model": model.state_dict(),
        # A finished training needs no momentum, which is half of a checkpoint.
        "optimiser": optimiser.state_dict() if step < about["steps"] else None,
        "averaged": averaged and averaged.state_dict(),
    }
    content = io.BytesIO()  # where a disk is full torch raises errors of its own, which say something else
    torch.save(state, content)
    try:
        with write_atomically(path) as file:
            file.write(content.getbuffer())
    except OSError as error:
        raise StorageError(f"cannot write the checkpoint {path}: {error.strerror or error}") from error


def resume(
    path: Path,
    about: Mapping[str, Any],
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    averaged: AveragedModel | None = None,
) -> tuple[int, Curves, list[dict[str, float]]]:
    """Load a checkpoint into model, optimiser and averaged weights.

    Returns the updates done, the curves and the unrecorded losses.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["about"]
        agree = {"groups": same_groups}
        differ = [key for key in about if not agree.get(key, operator.eq)(found[key], about[key])]
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = " ".join(str(error).split())[:200]
        raise BenchError(f"the checkpoint {path} cannot be read ({reason}); delete it to start again") from error
    if differ:
        detail = next((f": {key} {found[key]!r}, now {about[key]!r}" for key in differ[:1] if key in SHOWN), "")
        raise BenchError(
            f"the checkpoint {path} is of another training (it differs in {', '.join(differ)}{detail}); "
            "delete it to start again"
        )
    model.load_state_dict(state["model"])
    if state["optimiser"] is not None:
        optimiser.load_state_dict(state["optimiser"])
    if averaged is not None:
        averaged.load_state_dict(state["averaged"])
    return state["step"], state["curves"], state["window"]
