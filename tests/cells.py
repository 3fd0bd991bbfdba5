"""Results made by hand, for tests of what reads a store."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench.engine.identity import Cell, depends_of
from bench.engine.record import Computed, Failure, Record, Sizes
from bench.engine.store import Store
from bench.errors import BenchError

COMPUTED = Computed("0" * 40, {"python": "3.11.7", "numpy": "2.4.6"}, "a machine", "2026-11-01T00:00:00+00:00", 1)


def cell(
    method: str,
    dataset: str,
    split: int = 0,
    profile: str = "paper",
    seed: int = 0,
    data: str = "d" * 64,
    weights: tuple[str, ...] = (),
    depends: dict[str, Any] | None = None,
) -> Cell:
    """A cell of the plug-ins as they are; of none, where they are not there."""
    if depends is None:
        try:
            depends = dict(depends_of(method, dataset))
        except BenchError:
            depends = {}
    return Cell(method, dataset, split, seed, profile, data, weights, depends)


def record(curve: Iterable[float], draws: int = 1, **more: Any) -> Record:
    """A record with this CMC: a value for each of the ranks 1, 2, ...; the last one for those up to 20.

    cmc: in its place, of a gallery of so many people.
    """
    values = [float(v) for v in curve]
    values += [values[-1]] * (20 - len(values))
    people = len(more.get("cmc", range(25)))
    sizes = Sizes(train_people=25, test_people=people, probes=250, gallery_images=10 * people, gallery_draws=draws)
    cost = {"fit_seconds": 1.0, "total_seconds": 2.0, "peak_memory_mib": 100.0}
    fields = {
        "protocol": "single-shot",
        "sizes": sizes,
        "fusion": "none",
        "cmc": tuple(values),
        "map": 0.5,
        "probe_ranks": (1.0,),
        "cost": cost,
        "computed": COMPUTED,
        "contract": True,
    }
    return Record(**{**fields, **more})


def failure(error: str, traceback: str = "") -> Failure:
    return Failure(error, COMPUTED, traceback)


def fill(folder: Path, method: str, dataset: str, rank1: Iterable[float], profile: str = "paper", **more: Any) -> Store:
    """A finished cell for each split with these shares at rank 1 (and at all further ranks).

    weights, data, depends: of the cells; others: of the records.
    """
    store = Store(folder)
    own = {key: more.pop(key) for key in ("weights", "data", "depends") if key in more}
    for split, value in enumerate(rank1):
        store.put(cell(method, dataset, split, profile, **own), record([value], **more), {"all": np.zeros((2, 2))})
    return store
