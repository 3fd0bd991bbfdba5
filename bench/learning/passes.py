"""One update's forward and backward passes: plainly, or as a captured CUDA graph, which launches them in one go.

A small network's step is hundreds of small kernels, which a GPU finishes faster than Python can launch them.
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
Shapes = tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]

MOST_SHAPES = 8  # of which each has a graph that keeps memory of its own
WARM_UP = 3  # passes before a capture, in which cuDNN chooses its algorithms
TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2}
"""Relative: how far a captured update's losses may be from those of plain passes over the same batches."""


class Plain:
    """Forward and backward passes of an update's batches; gradients are means over the batches."""

    def __init__(self, model: nn.Module, loss: Loss, parameters: Sequence[Tensor], compute: Compute):
        self.model, self.loss, self.parameters, self.compute = model, loss, parameters, compute
        self.run = torch.compile(model) if compute.compile else model

    def __call__(self, batches: Sequence[Batch], watch: Watch | None = None) -> list[Terms]:
        """Set every parameter's gradient; returns the loss's terms of each batch, float32, without gradients.

        watch: called with the terms of each batch before they are differentiated.
        """
        for parameter in self.parameters:
            parameter.grad = None
        terms = []
        for batch in batches:
            with self.compute.autocast():
                values = self.loss(self.run, batch)
            if watch is not None:
                watch(values)
            torch.autograd.backward(values[TOTAL] / len(batches))
            terms.append({name: value.detach().float() for name, value in values.items()})
        return terms


class Graph:
    """The passes of one update as a CUDA graph, for batches of the shapes of those that it was captured with.

    Random numbers follow the generator's present seed, as they do plainly.
    """

    def __init__(self, plain: Plain, batches: Sequence[Batch]):
        self.parameters = plain.parameters
        self.batches = [{name: tensor.clone() for name, tensor in batch.items()} for batch in batches]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                plain(self.batches)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=stream):
            self.terms = plain(self.batches)
        self.gradients = [parameter.grad for parameter in plain.parameters]

    def __call__(self, batches: Sequence[Batch]) -> list[Terms]:
        for kept, batch in zip(self.batches, batches, strict=True):
            for name, tensor in batch.items():
                kept[name].copy_(tensor, non_blocking=True)
        self.graph.replay()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        # The next replay overwrites them.
        return [{name: value.clone() for name, value in terms.items()} for terms in self.terms]


class Captured:
    """Passes that are captured for each of the first `MOST_SHAPES` shapes of batches.

    The first update of a shape passes plainly, after the capture.  The second passes both ways: a loss that draws
    numbers or counts updates by itself is told by its captured losses being others, and from then on all pass plainly,
    with a warning.  So do watched updates, without one.
    """

    def __init__(self, plain: Plain):
        self.plain = plain
        self.graphs: dict[Shapes, Graph] = {}
        self.trusted: set[Shapes] = set()
        self.broken = False

    def __call__(self, batches: Sequence[Batch], watch: Watch | None = None) -> list[Terms]:
        key = shapes(batches)
        many = key not in self.graphs and len(self.graphs) >= MOST_SHAPES
        if self.broken or many or watch is not None:
            return self.plain(batches, watch)
        if key in self.trusted:
            return self.graphs[key](batches)
        return self._compare(key, batches) if key in self.graphs else self._capture(key, batches)

    def _capture(self, key: Shapes, batches: Sequence[Batch]) -> list[Terms]:
        state = copy.deepcopy(self.plain.model.state_dict())
        random = torch.random.get_rng_state()
        try:
            device = torch.device(self.plain.compute.device)
            cuda_random, stream = torch.cuda.get_rng_state(device), torch.cuda.current_stream(device)
            try:
                self.graphs[key] = Graph(self.plain, batches)
            except RuntimeError:
                torch.cuda.set_stream(stream)
                # A failed capture may leave the generator as if it were still being captured.
                torch.cuda.default_generators[stream.device.index].graphsafe_set_state(torch.Generator(device))
                raise
            finally:
                torch.cuda.set_rng_state(cuda_random, device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
            self._give_up(" ".join(str(error).split())[:200])
        # Batch normalisation's statistics have moved.
        self.plain.model.load_state_dict(state)
        torch.random.set_rng_state(random)
        return self.plain(batches)

    def _compare(self, key: Shapes, batches: Sequence[Batch]) -> list[Terms]:
        state = copy.deepcopy(self.plain.model.state_dict())
        random = torch.cuda.get_rng_state(self.plain.compute.device)
        captured = self.graphs[key](batches)
        self.plain.model.load_state_dict(state)
        torch.cuda.set_rng_state(random, self.plain.compute.device)
        plain = self.plain(batches)
        allowed = TOLERANCE[self.plain.compute.precision]
        pairs = [(a[name], b[name]) for a, b in zip(captured, plain, strict=True) for name in b]
        if all(torch.isclose(a, b, rtol=allowed, atol=allowed) for a, b in pairs):
            self.trusted.add(key)
        else:
            self._give_up("its losses are not those of plain passes")
        return plain

    def _give_up(self, reason: str) -> None:
        self.broken = True
        self.graphs.clear()
        warnings.warn(
            f"the training step could not be captured as a CUDA graph and runs plainly: {reason}", stacklevel=2
        )


def shapes(batches: Sequence[Batch]) -> Shapes:
    return tuple(tuple((name, tuple(tensor.shape)) for name, tensor in batch.items()) for batch in batches)


def passes_for(model: nn.Module, loss: Loss, parameters: Sequence[Tensor], compute: Compute) -> Passes:
    """How updates pass: captured on a GPU, plainly on a CPU and with `Compute.compile`."""
    plain = Plain(model, loss, parameters, compute)
    return Captured(plain) if compute.cuda and not compute.compile else plain
