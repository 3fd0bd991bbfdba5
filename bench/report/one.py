"""One stored cell, by the words that a user names it with."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.engine import inventory
from bench.engine.identity import Cell
from bench.engine.inventory import Inventory
from bench.engine.store import Result, Store
from bench.errors import UsageError
from bench.report.compare import finished, one_dataset
from bench.report.groups import Groups, has_schedule, plugin_attributes
from bench.report.names import normal
from bench.report.notes import ranges


def find_cell(
    results: Sequence[Result], method: str, dataset: str, split: int, seed: int = 0, profile: str | None = None
) -> Result:
    """The finished cell of a method on one split, the one that tables take where there are several.

    profile: of this schedule only, where the method has schedules.  UsageError where there is none.
    """
    groups = Groups(results)
    name = one_dataset(groups, dataset)
    hint = f"`{command(method, dataset, [split], seed, profile)}` computes it"
    try:
        found = finished(groups, method, name, seed, profile)
    except UsageError as error:
        raise UsageError(f"{error}; {hint}" if plugin_attributes(method) else str(error)) from error
    # Cells of more anchors, which tables take a part of, are other cells.
    whole = [group for group in found if normal(group.cell.method) == normal(method) and split in group.results]
    if not whole:
        raise UsageError(f"no finished cell of {method} on {name}, split {split}: {hint}")
    return whole[0].results[split]


def with_lists(result: Result, dataset: str, folders: Sequence[Path]) -> Result:
    """The cell as the first of these stores has it that keeps its ranked lists.

    dataset: as the user names it.  UsageError that says what to run where none does.
    """
    found = next((r for r in copies(result, folders) if r.finished.nearest), None)
    if found is None:
        raise UsageError(f"{result.cell} was stored without ranked lists: {again(result.cell, dataset)}")
    return found


def with_enhancers(result: Result, dataset: str, folders: Sequence[Path]) -> dict[str, dict[str, np.ndarray]]:
    """What the models of a cell enhance images with, by anchor, from the first store that keeps it.

    dataset: as the user names it.  UsageError that says what to run where none does.
    """
    for folder in dict.fromkeys([result.path.parents[2], *folders]):
        if found := Store(folder).enhancers(result.cell):
            return found
    raise UsageError(f"{result.cell} was stored without its enhancers: {again(result.cell, dataset)}")


def images_of(result: Result, dataset: str, folders: Sequence[Path]) -> Inventory:
    """The images that a cell is of; UsageError that says what to run where no store has their table."""
    own = result.path.parents[2]
    found = inventory.find(dict.fromkeys([own, *folders]), result.cell)
    if found is None:
        words = command(result.cell.method, dataset, [result.cell.split], result.cell.seed, result.cell.profile)
        raise UsageError(f"no table of the images of {result.cell.dataset}: `{words}` writes it where the images are")
    return found


def copies(result: Result, folders: Sequence[Path]) -> Iterator[Result]:
    """The cell, and as other stores have it."""
    yield result
    for folder in folders:
        found = Store(folder).get(result.cell)
        if found is not None and found.path != result.path:
            yield found


def again(cell: Cell, dataset: str) -> str:
    """What to run for a cell that lacks what cells keep now."""
    kept = ["--enhancers", str(cell.split)] if cell.split else []
    words = command(cell.method, dataset, [cell.split], cell.seed, cell.profile, ["--force", *kept])
    return f"`{words}` computes it with them"


def command(
    method: str,
    dataset: str,
    splits: Sequence[int] = (),
    seed: int = 0,
    profile: str | None = None,
    options: Sequence[str] = (),
) -> str:
    """The command that computes cells of a row.  splits: where none are given, those that it takes by itself."""
    words = ["-m", method, "-d", dataset]
    words += ["--splits", ranges(splits)] if splits else []
    words += ["--seed", str(seed)] if seed else []
    words += ["--profile", profile] if profile and has_schedule(method) else []
    return f"python -m bench run {shlex.join([*words, *options])}"
