"""The training loop of every network here.  It knows no method: it is given batches, a loss and a schedule.

What update number t does depends on the weights before it, on t and on the seed, and on nothing else: batches are a
function of their number, and every update draws its random numbers (dropout) from a generator seeded by (seed, t).  A
training that was killed and goes on from its checkpoint therefore ends with the weights of one left alone, bit for bit
on the same machine with the same number of threads.

torch is imported with this module: import it where a network is trained.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.files import write_atomically

PART = ("training", 1)

Batch = Mapping[str, Tensor]
Loss = Callable[[Any, Batch], Mapping[str, Tensor]]
Schedule = Callable[[int], float]
Curves = dict[str, Any]
TOTAL = "total"
SHOWN = ("identity", "seed", "steps", "accumulate", "precision")  # of a checkpoint, when it is another training's


@dataclass(frozen=True)
class Compute:
    """How to compute, as opposed to what.

    device: ``cpu``, ``cuda`` or ``cuda:1``.
    precision: ``float32`` (without TF32), or ``bfloat16``: convolutions and matrix products in it by autocast, weights,
    gradients and optimiser in float32.
    channels_last: memory layout of images and weights.
    compile: let torch.compile work on the model's forward pass.
    deterministic: on CUDA, only algorithms that give the same bits every time; the CPU's always do.
    """

    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    compile: bool = False
    deterministic: bool = False

    @classmethod
    def of(
        cls, given: Any, precision: Literal["float32", "bfloat16"] = "float32", channels_last: bool = False
    ) -> "Compute":
        """What a `Train`, `Upscaling` or `Pretraining` asks for."""
        return cls(given.device, precision, channels_last, given.compile, given.deterministic)

    @property
    def cuda(self) -> bool:
        return torch.device(self.device).type == "cuda"

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, model: nn.Module) -> None:
        """Move a model's weights to the device, in the wanted layout; optimisers built before stay valid."""
        where: dict[str, Any] = {"device": self.device, "memory_format": self.layout}
        model.to(**where)

    def send(self, batch: Batch) -> dict[str, Tensor]:
        """A batch on the device, 4-d tensors in the wanted layout; on CUDA through pinned memory, without waiting."""
        sent = {}
        for name, tensor in batch.items():
            if self.cuda:
                tensor = tensor.pin_memory().to(self.device, non_blocking=True)
            sent[name] = tensor.contiguous(memory_format=self.layout) if tensor.ndim == 4 else tensor
        return sent

    def autocast(self) -> torch.autocast:
        device = torch.device(self.device).type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16")

    @contextmanager
    def active(self) -> Iterator[None]:
        """cuDNN and determinism as asked for; as they were before at the end.  BenchError without the device."""
        if self.cuda and not torch.cuda.is_available():
            raise BenchError(f"device {self.device} cannot be used: torch finds no CUDA GPU; use device cpu")
        exact = self.deterministic and self.cuda
        before = torch.are_deterministic_algorithms_enabled()
        if exact:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without
            torch.use_deterministic_algorithms(True)
        try:
            with torch.backends.cudnn.flags(enabled=True, benchmark=not exact, deterministic=exact, allow_tf32=False):
                yield
        finally:
            torch.use_deterministic_algorithms(before)


@contextmanager
def seeded(*parts: int, device: str = "cpu") -> Iterator[None]:
    """Random numbers of torch, on the CPU and on `device`, from a seed made of non-negative integers; then as before.

    For initial weights: ``with seeded(seed): model = Network(identities)``.
    """
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        yield


def poly(steps: int, power: float = 0.5) -> Schedule:
    """Caffe's "poly" policy: the base rate times (1 - step / steps) ** power at update number `step`, from 0."""
    return lambda step: float((1 - step / steps) ** power)


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

    weight_decay: of the weights; biases and norms have none.  bias_lr: the biases' learning rate, as a multiple of `lr`
    (2 in Caffe's habit).  A kind that the model lacks has no group.
    """
    weights, biases, norms = [], [], []
    for module in model.modules():
        for key, parameter in module.named_parameters(recurse=False):
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
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


@dataclass(frozen=True)
class Progress:
    """How far a training is.  step: updates done, of steps; loss: latest value of every term.

    seconds_left: estimated from this run's updates so far.
    """

    step: int
    steps: int
    loss: dict[str, float]
    seconds_left: float


def as_line(report: Callable[[str], None]) -> Callable[[Progress], None]:
    """Report progress as a line of text."""

    def progress(now: Progress) -> None:
        left = str(timedelta(seconds=round(now.seconds_left)))
        report(f"update {now.step:,} of {now.steps:,}, loss {now.loss[TOTAL]:.4g}, {left} left")

    return progress


def train(
    model: nn.Module,
    batches: Callable[[int], Batch],
    loss: Loss,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    steps: int,
    *,
    compute: Compute = Compute(),
    accumulate: int = 1,
    seed: int = 0,
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    identity: str = "",
    log_every: int = 10,
    term_gradients: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Curves:
    """Train `model` in place for `steps` updates, on the device where it then stays, and leave it in evaluation mode.

    batches: batch number i, named CPU tensors, as a pure function of i: a resumed training asks for the same i again.
    Update t uses the batches t * accumulate ... t * accumulate + accumulate - 1 and the mean of their gradients.
    loss: called with the model and a batch, under autocast; returns named scalars, of which ``total`` is minimised.
    optimiser: its groups have a ``name`` each; schedule: factor of every group's base rate at update t.
    seed: of the random numbers within updates; initial weights and batches have their own (`seeded`).
    checkpoint: file that the state is written to every `checkpoint_every` updates and at the end, atomically, and that
    the training goes on from when it exists (a finished training is then not repeated).  Whoever wants a new training
    deletes it.  identity: what else the result depends on (data, split), so that a checkpoint of another training is
    refused.
    term_gradients: names of groups for which the gradient norm of each single term of the loss is recorded too.

    Returns learning curves, lists of one value for update 0, every `log_every` updates and the last update: ``step``;
    ``loss`` by term, mean since the value before; ``lr`` and ``gradient_norm`` (L2, before weight decay) by group;
    ``term_gradient_norm`` by group, then term, of terms as `loss` returns them.

    BenchError when a term of the loss or a gradient is not finite, naming the term and the update; when the checkpoint
    cannot be read or written or is of another training.
    """
    groups = optimiser.param_groups
    for group in groups:
        group.setdefault("initial_lr", group["lr"])
    about = _about(model, groups, schedule, steps, accumulate, compute, seed, identity)
    curves = _empty_curves([group["name"] for group in groups], term_gradients)
    window: list[dict[str, float]] = []  # losses since the last record

    with compute.active():
        compute.place(model)
        first = 0
        if checkpoint is not None and checkpoint.exists():
            first, curves, window = _resume(checkpoint, about, model, optimiser)
            groups = optimiser.param_groups  # loading a state replaces them
        model.train()
        run = torch.compile(model) if compute.compile else model
        start = time.perf_counter()
        ready = [compute.send(batches(first * accumulate + k)) for k in range(accumulate)] if first < steps else []

        for step in range(first, steps):
            for group in groups:
                group["lr"] = group["initial_lr"] * schedule(step)
            recorded = step % log_every == 0 or step + 1 == steps
            terms, single = [], _TermGradients(groups, term_gradients if recorded else ())
            optimiser.zero_grad(set_to_none=True)
            with seeded(seed, step, device=compute.device):
                for batch in ready:
                    with compute.autocast():
                        values = loss(run, batch)
                    single.add(values)
                    torch.autograd.backward(values[TOTAL] / accumulate)
                    terms.append({name: value.detach().float() for name, value in values.items()})
            norms = _norms(groups) if recorded else None
            optimiser.step()

            # The next batches are made while a GPU still works; only then are this update's losses waited for.
            if step + 1 < steps:
                ready = [compute.send(batches((step + 1) * accumulate + k)) for k in range(accumulate)]
            window.append(_checked(_mean(terms), "term", step, steps))
            if norms is not None:
                latest, gradient_norm = window[-1], _checked(norms, "gradient of group", step, steps)
                _record(curves, step, window, groups, gradient_norm, single.norms(accumulate))
                window = []
                if progress is not None:
                    done = step + 1 - first
                    left = (time.perf_counter() - start) / done * (steps - step - 1)
                    progress(Progress(step + 1, steps, latest, left))
            if checkpoint is not None and ((step + 1) % checkpoint_every == 0 or step + 1 == steps):
                _save(checkpoint, about, model, optimiser, step + 1, curves, window)
    model.eval()
    return curves


class _TermGradients:
    """Gradients of a loss's single terms with respect to some parameter groups, summed over one update's batches."""

    def __init__(self, groups: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
        known = {group["name"]: group["params"] for group in groups}
        for name in names:
            if name not in known:
                raise BenchError(f"no parameter group is called {name!r}: there is {', '.join(known)}")
        self.params: dict[str, list[Tensor]] = {name: known[name] for name in names}
        self.sums: dict[str, dict[str, Tensor]] = {name: {} for name in names}

    def add(self, values: Mapping[str, Tensor]) -> None:
        for name, params in self.params.items():
            for term, value in values.items():
                gradients = (
                    torch.autograd.grad(value, params, retain_graph=True, allow_unused=True)
                    if value.requires_grad
                    else [None] * len(params)
                )
                flat = torch.cat(
                    [
                        (torch.zeros_like(p) if g is None else g).flatten()
                        for g, p in zip(gradients, params, strict=True)
                    ]
                )
                self.sums[name][term] = self.sums[name].get(term, 0) + flat

    def norms(self, accumulate: int) -> dict[str, dict[str, float]]:
        return {
            name: {term: float(torch.linalg.vector_norm(flat)) / accumulate for term, flat in terms.items()}
            for name, terms in self.sums.items()
        }


def _norms(groups: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """L2 norm of every group's gradient; 0 for one that has none."""
    norms = {}
    for group in groups:
        parts = [torch.linalg.vector_norm(p.grad) for p in group["params"] if p.grad is not None]
        none = torch.zeros((), device=group["params"][0].device)
        norms[group["name"]] = torch.linalg.vector_norm(torch.stack(parts)) if parts else none
    return norms


def _mean(terms: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([values[name] for values in terms]).mean() for name in terms[0]}


def _checked(values: Mapping[str, Tensor], what: str, step: int, steps: int) -> dict[str, float]:
    """The values as numbers, fetched at once; BenchError for the first that is not finite."""
    numbers = dict(zip(values, torch.stack([v.to(torch.float64) for v in values.values()]).tolist(), strict=True))
    for name, number in numbers.items():
        if not math.isfinite(number):
            kind = "the loss" if what == "term" else "the training"
            raise BenchError(
                f"{kind} diverged at update {step} of {steps}: {what} {name!r} is {number}; use a smaller learning rate"
            )
    return numbers


def _empty_curves(groups: Sequence[str], term_gradients: Sequence[str]) -> Curves:
    return {
        "step": [],
        "loss": {},
        "lr": {name: [] for name in groups},
        "gradient_norm": {name: [] for name in groups},
        "term_gradient_norm": {name: {} for name in term_gradients},
    }


def _record(
    curves: Curves,
    step: int,
    window: Sequence[Mapping[str, float]],
    groups: Sequence[Mapping[str, Any]],
    norms: Mapping[str, float],
    single: Mapping[str, Mapping[str, float]],
) -> None:
    curves["step"].append(step)
    for term in window[-1]:
        curves["loss"].setdefault(term, []).append(sum(values[term] for values in window) / len(window))
    for group in groups:
        curves["lr"][group["name"]].append(group["lr"])
        curves["gradient_norm"][group["name"]].append(norms[group["name"]])
    for name, terms in single.items():
        for term, norm in terms.items():
            curves["term_gradient_norm"][name].setdefault(term, []).append(norm)


def _about(
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
            {k: v for k, v in group.items() if isinstance(v, plain) and k != "lr"} | {"size": len(group["params"])}
            for group in groups
        ],
        "schedule": [schedule(step) for step in range(0, steps, max(1, steps // 8))],
    }
    return json.loads(json.dumps(about))


def _save(
    path: Path,
    about: Mapping[str, Any],
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    curves: Curves,
    window: Sequence[Mapping[str, float]],
) -> None:
    state = {
        "about": about,
        "step": step,
        "curves": curves,
        "window": window,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    try:
        with write_atomically(path) as file:
            torch.save(state, file)
    except OSError as error:
        raise BenchError(f"cannot write the checkpoint {path}: {error.strerror or error}") from error


def _resume(
    path: Path, about: Mapping[str, Any], model: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, Curves, list[dict[str, float]]]:
    """Load a checkpoint into model and optimiser; returns the updates done, the curves and the unrecorded losses."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["about"]
        differ = [key for key in about if found[key] != about[key]]
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
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["curves"], state["window"]
