"""Results made by hand, for tests of what reads a store."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.cell import Cell
from bench.engine.store import Store


def cell(
    method: str, dataset: str, split: int = 0, profile: str = "paper", seed: int = 0, data: str = "d" * 64
) -> Cell:
    return Cell(method, dataset, split, seed, profile, data)


def record(curve: Iterable[float], code: str | None = None, draws: int = 1, **more: Any) -> dict[str, Any]:
    """A record with this CMC: a value for each of the ranks 1, 2, ...; the last one for those up to 20."""
    values = [float(v) for v in curve]
    values += [values[-1]] * (20 - len(values))
    sizes = {"train_people": 25, "test_people": 25, "probes": 250, "gallery_images": 250, "gallery_draws": draws}
    cost = {"fit_seconds": 1.0, "total_seconds": 2.0, "peak_memory_mib": 100.0}
    return {"protocol": "single-shot", "sizes": sizes, "fusion": "none", "cmc": values, "map": 0.5,
            "probe_ranks": [1.0], "cost": cost, "code": code, "environment": {}, **more}  # fmt: skip


def fill(folder: Path, method: str, dataset: str, rank1: Iterable[float], profile: str = "paper", **more: Any) -> Store:
    """A finished cell for each split with these shares at rank 1 (and at all further ranks)."""
    store = Store(folder)
    for split, value in enumerate(rank1):
        store.put(cell(method, dataset, split, profile), record([value], **more), {"all": np.zeros((2, 2))})
    return store
