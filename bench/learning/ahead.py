"""Batches made by other processes ahead of their turn, where a GPU would wait for them."""

import multiprocessing
import os
from collections.abc import Callable, Iterator

import torch
from torch.utils.data import DataLoader

from bench.learning.compute import Batch, Compute

MOST = 8  # processes


class _Numbered:
    """The batches of a function, as torch's data sets are asked for them."""

    def __init__(self, batches: Callable[[int], Batch]) -> None:
        self.batches = batches

    def __getitem__(self, i: int) -> Batch:
        return self.batches(i)


def workers(compute: Compute) -> int:
    """How many processes help: none where the network itself is computed on the CPU's cores."""
    if not compute.cuda or "fork" not in multiprocessing.get_all_start_methods():
        return 0
    return min(MOST, (os.cpu_count() or 1) - 1)


def ahead(batches: Callable[[int], Batch], end: int, workers: int) -> Callable[[int], Batch]:
    """The same batches, up to number `end`; they must be asked for in order, from any number on."""
    if workers == 0:
        return batches
    made: Iterator[Batch] | None = None

    def get(i: int) -> Batch:
        nonlocal made
        if made is None:
            made = iter(
                DataLoader(
                    _Numbered(batches),  # type: ignore[arg-type]  # what is asked of it is __getitem__
                    batch_size=None,
                    sampler=range(i, end),
                    num_workers=workers,
                    multiprocessing_context="fork",  # the images are shared, not copied
                    generator=torch.Generator(),
                )
            )
        return next(made)

    return get
