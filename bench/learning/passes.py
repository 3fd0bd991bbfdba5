"""One update's forward and backward passes: plainly, or as a captured CUDA graph, which launches them in one go.

DGD's step of 60 images is hundreds of small kernels; a GPU finishes them faster than Python can launch them.
"""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.learning.compute import Batch, Compute

TOTAL = "total"
Terms = dict[str, Tensor]
Loss = Callable[[Any, Batch], Mapping[str, Tensor]]
Watch = Callable[[Mapping[str, Tensor]], None]
Passes = Callable[[Sequence[Batch], Watch | None], list[Terms]]

WARM_UP = 3  # passes before a capture, in which cuDNN chooses its algorithms


class Plain:
    """Forward and backward passes of an update's batches; gradients are means over the batches."""

    def __init__(self, model: Any, loss: Loss, parameters: Sequence[Tensor], compute: Compute):
        self.model, self.loss, self.parameters, self.compute = model, loss, parameters, compute

    def __call__(self, batches: Sequence[Batch], watch: Watch | None = None) -> list[Terms]:
        """Set every parameter's gradient; returns the loss's terms of each batch, float32, without gradients.

        watch: called with the terms of each batch before they are differentiated.
        """
        for parameter in self.parameters:
            parameter.grad = None
        terms = []
        for batch in batches:
            with self.compute.autocast():
                values = self.loss(self.model, batch)
            if watch is not None:
                watch(values)
            torch.autograd.backward(values[TOTAL] / len(batches))
            terms.append({name: value.detach().float() for name, value in values.items()})
        return terms


class Captured:
    """The same as a CUDA graph of one update, whose batches have the shapes of those that it was captured with.

    What it cannot replay, batches of other shapes and watched ones, passes plainly.  Random numbers follow the
    generator's present seed, as they do plainly.
    """

    def __init__(self, plain: Plain, batches: Sequence[Batch]):
        self.plain = plain
        self.batches = [{name: tensor.clone() for name, tensor in batch.items()} for batch in batches]
        before = copy.deepcopy(plain.model.state_dict())
        with torch.random.fork_rng(devices=[torch.device(plain.compute.device)]):
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    plain(self.batches)
            torch.cuda.current_stream().wait_stream(stream)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.terms = plain(self.batches)
        self.gradients = [parameter.grad for parameter in plain.parameters]
        # Batch normalisation's statistics have moved.
        plain.model.load_state_dict(before)

    def __call__(self, batches: Sequence[Batch], watch: Watch | None = None) -> list[Terms]:
        if watch is not None or [shapes(batch) for batch in batches] != [shapes(batch) for batch in self.batches]:
            return self.plain(batches, watch)
        for kept, batch in zip(self.batches, batches, strict=True):
            for name, tensor in batch.items():
                kept[name].copy_(tensor, non_blocking=True)
        self.graph.replay()
        for parameter, gradient in zip(self.plain.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        # The next replay overwrites them.
        return [{name: value.clone() for name, value in terms.items()} for terms in self.terms]


def shapes(batch: Batch) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in batch.items()}


def captured_or_plain(
    model: nn.Module, loss: Loss, parameters: Sequence[Tensor], compute: Compute, batches: Sequence[Batch]
) -> Passes:
    """The passes of updates like this one: captured where the device is a GPU, with a warning where that fails.

    With `Compute.compile` the model's forward pass is compiled instead.
    """
    if compute.compile:
        return Plain(torch.compile(model), loss, parameters, compute)
    plain = Plain(model, loss, parameters, compute)
    if not compute.cuda or not batches:
        return plain
    before = copy.deepcopy(model.state_dict())
    try:
        return Captured(plain, batches)
    except RuntimeError as error:
        model.load_state_dict(before)
        reason = " ".join(str(error).split())[:200]
        warnings.warn(
            f"the training step could not be captured as a CUDA graph and runs plainly: {reason}", stacklevel=2
        )
        return plain
