"""Stored rows computed again: one split of each, drawn at random, and compared with what is stored.

Closed-form rows must repeat exactly: CMC, mAP and every probe's rank.  Rows of networks may differ by `NOISE`, since
sums in another order, another number of threads or another precision change what a network becomes.  A row that repeats
has the verification appended to every cell; cells of older versions then count for the code as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from bench.engine.beforehand import on_devices
from bench.engine.freshness import as_now
from bench.engine.plan import Settings, Task, has_profiles
from bench.engine.record import Failure, Record, Verified
from bench.engine.run import compute
from bench.engine.store import Result

NOISE = 0.02
"""Largest difference of a network's CMC or mAP: 2 percent points, some four times what another processor changes."""


@dataclass(frozen=True)
class Finding:
    """What verifying one row found.  text: one line; repeats: whether the row stands."""

    text: str
    repeats: bool


def verify(tasks: Sequence[Task], settings: Settings) -> Iterator[Finding]:
    """Compute a random split of each row that the tasks have finished cells of, current or of older versions."""
    settings = on_devices(settings, tasks)
    rows: dict[str, list[tuple[Task, Result]]] = {}
    for task in tasks:
        for result in stored(task, settings):
            rows.setdefault(as_now(result).row, []).append((task, result))
    for row, cells in rows.items():
        yield verify_row(row, cells, settings)


def stored(task: Task, settings: Settings) -> list[Result]:
    """The task's cell and those of other versions at its place, of the same data and weights."""
    found = settings.store.get(task.cell)
    cell = task.cell
    others = [r for r in settings.store.others(cell) if (r.cell.data, r.cell.weights) == (cell.data, cell.weights)]
    return ([found] if found else []) + others


def verify_row(row: str, cells: Sequence[tuple[Task, Result]], settings: Settings) -> Finding:
    drawn = np.random.default_rng([settings.seed, int(row, 16)]).integers(len(cells))
    task, before = cells[int(drawn)]
    name = f"{task.cell.method} on {task.cell.dataset}: split {task.cell.split}"
    # Sums in another order differ in their last bits: as many threads as before.
    again = compute(task, replace(settings, threads=before.finished.computed.threads))
    if isinstance(again, Failure):
        return Finding(f"{name} failed: {again.error}", False)
    record, _ = again
    difference = largest_difference(before.finished, record)
    exact = difference == 0 and record.probe_ranks == before.finished.probe_ranks
    if not (exact or (has_profiles(task.method) and difference <= NOISE)):
        return Finding(f"{name} differs by {100 * difference:.2f} percent points; run it with --force", False)
    seen = record.computed
    mark = Verified(seen.commit, seen.date, task.cell.split, seen.machine, seen.libraries, difference)
    for other, result in cells:
        kept = result.finished
        settings.store.update(other.cell, msgspec.structs.replace(kept, verified=(*kept.verified, mark)))
        if result.cell.fingerprint != other.cell.fingerprint:
            settings.store.hand_over(result.cell, other.cell)
            settings.store.remove(result)
    how = "repeats exactly" if exact else f"differs by {100 * difference:.2f} percent points, within noise"
    return Finding(f"{name} {how}; {len(cells)} cells stand", True)


def largest_difference(a: Record, b: Record) -> float:
    """Largest absolute difference of any CMC value or mAP; 1 where sizes or the kind of fusion differ."""
    if (a.sizes, a.fusion, len(a.cmc)) != (b.sizes, b.fusion, len(b.cmc)):
        return 1.0
    return float(np.abs(np.subtract((*a.cmc, a.map), (*b.cmc, b.map))).max())
