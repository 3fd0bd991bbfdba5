"""The training loop of every network here.  It knows no method: it is given batches, a loss and a schedule.

What update number t does depends on the weights before it, on t and on the seed, and on nothing else: batches are a
function of their number, and every update draws its random numbers (dropout) from a generator seeded by (seed, t).  A
training that was killed and goes on from its checkpoint therefore ends with the weights of one left alone, bit for bit
on the same machine with the same number of threads, on a GPU with `Compute.deterministic`.

torch is imported with this module: import it where a network is trained.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from bench import budget
from bench.errors import BenchError
from bench.learning.checkpoints import Curves, about_training, resume, save
from bench.learning.compute import PLAIN, Batch, Compute, seeded
from bench.learning.passes import Loss, passes_for
from bench.learning.schedules import Schedule

PART = ("training", 1)
FEWER_ON_GPU = 20
"""Times as many updates between two checkpoints: a GPU would spend its time on writing them."""


@dataclass(frozen=True)
class Progress:
    """How far a training is.  step: updates done, of steps; loss: mean of every term since the last report.

    seconds_left: estimated from this run's updates so far.
    """

    step: int
    steps: int
    loss: dict[str, float]
    seconds_left: float


def train(
    model: nn.Module,
    batches: Callable[[int], Batch],
    loss: Loss,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    steps: int,
    *,
    compute: Compute = PLAIN,
    accumulate: int = 1,
    seed: int = 0,
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    identity: str = "",
    log_every: int = 10,
    term_gradients: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    averaged: AveragedModel | None = None,
) -> Curves:
    """Train `model` in place for `steps` updates, on the device where it then stays, and leave it in evaluation mode.

    batches: batch number i, named CPU tensors, as a pure function of i: a resumed training asks for the same i again.
    Update t uses the batches t * accumulate ... t * accumulate + accumulate - 1 and the mean of their gradients.
    loss: called with the model and a batch, under autocast; returns named scalars, of which ``total`` is minimised.
    On a GPU its operations are captured and repeated (`bench.learning.passes`): it may depend on the batch's tensors,
    the weights and torch's random numbers, and on nothing else that changes.
    optimiser: its groups have a ``name`` each; schedule: factor of every group's base rate at update t.
    seed: of the random numbers within updates; initial weights and batches have their own (`seeded`).
    checkpoint: file that the state is written to every `checkpoint_every` updates (on a GPU 20 times that) and at the
    end, atomically, and that the training goes on from when it exists (a finished training is then not repeated).
    Whoever wants a new training deletes it.  identity: what else the result depends on (data, split), so that a
    checkpoint of another training is refused.
    term_gradients: names of groups for which the gradient norm of each single term of the loss is recorded too.
    averaged: weights to be averaged over the updates; kept in the checkpoint too.

    Returns learning curves, lists of one value for update 0, every `log_every` updates and the last update: ``step``;
    ``loss`` by term, mean since the value before; ``lr`` and ``gradient_norm`` (L2, before weight decay) by group;
    ``term_gradient_norm`` by group, then term, of terms as `loss` returns them.

    BenchError when a term of the loss or a gradient is not finite, naming the term and the update; when the checkpoint
    cannot be read or written or is of another training.  `bench.budget.OutOfTime`, the checkpoint written, when the
    time of the command is over; it says at which update where there is a checkpoint.
    """
    groups = optimiser.param_groups
    for group in groups:
        group.setdefault("initial_lr", group["lr"])
    about = about_training(model, groups, schedule, steps, accumulate, compute, seed, identity)
    curves = _empty_curves([group["name"] for group in groups], term_gradients)
    window: list[dict[str, float]] = []  # losses since the last record

    with compute.active():
        compute.place(model)
        if averaged is not None:
            compute.place(averaged)
        first = 0
        if checkpoint is not None and checkpoint.exists():
            first, curves, window = resume(checkpoint, about, model, optimiser, averaged)
            groups = optimiser.param_groups  # loading a state replaces them
        model.train()
        start = time.perf_counter()
        ready = [compute.send(batches(first * accumulate + k)) for k in range(accumulate)] if first < steps else []
        passes = passes_for(model, loss, [p for group in groups for p in group["params"]], compute)
        unchecked: list[dict[str, Tensor]] = []  # mean losses of the latest updates, still on the device

        for step in range(first, steps):
            begun = time.perf_counter()
            for group in groups:
                group["lr"] = group["initial_lr"] * schedule(step)
            recorded = step % log_every == 0 or step + 1 == steps
            single = _TermGradients(groups, term_gradients if recorded else ())
            with seeded(seed, step, device=compute.device):
                terms = passes(ready, single.add if single.params else None)
            norms = _norms(groups) if recorded else None
            optimiser.step()
            unchecked.append(_mean(terms))
            if averaged is not None:
                averaged.update_parameters(model)

            # The next batches are sent while a GPU still works.
            if step + 1 < steps:
                ready = [compute.send(batches((step + 1) * accumulate + k)) for k in range(accumulate)]
            last = step + 1 == steps
            over = not last and budget.spent(time.perf_counter() - begun)  # another update would come too late
            due = (step + 1) % (checkpoint_every * (FEWER_ON_GPU if compute.cuda else 1)) == 0
            saved = checkpoint is not None and (over or last or due)
            # A GPU is only waited for where its losses are needed; a CPU's are there anyway.
            if recorded or saved or not compute.cuda:
                first_unchecked = step + 1 - len(unchecked)
                window += [_checked(t, "term", first_unchecked + k, steps) for k, t in enumerate(unchecked)]
                unchecked = []
            if norms is not None:
                gradient_norm = _checked(norms, "gradient of group", step, steps)
                _record(curves, step, window, groups, gradient_norm, single.norms(accumulate))
                window = []
                if progress is not None:
                    done = step + 1 - first
                    left = (time.perf_counter() - start) / done * (steps - step - 1)
                    means = {term: values[-1] for term, values in curves["loss"].items()}
                    progress(Progress(step + 1, steps, means, left))
            if checkpoint is not None and saved:
                save(checkpoint, about, model, optimiser, step + 1, curves, window, averaged)
            if over:
                raise budget.OutOfTime(f"update {step + 1:,} of {steps:,}" if checkpoint else "")
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
