"""Keeping stores in order: adopting cells from one into another, and failures that say nothing any more."""

import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from bench.engine import freshness, inventory
from bench.engine.identity import Cell
from bench.engine.store import Result, Store, cannot_write
from bench.errors import BenchError, StorageError


def chosen(
    results: Sequence[Result], methods: Sequence[str], datasets: Sequence[str], splits: Sequence[int] | None
) -> list[Result]:
    """The cells of these methods and data sets (names or globs; all where none is given) and splits."""

    def fits(text: str, patterns: Sequence[str]) -> bool:
        return not patterns or any(text == pattern or fnmatchcase(text, pattern) for pattern in patterns)

    return [
        r
        for r in results
        if fits(r.cell.method, methods)
        and fits(r.cell.dataset, datasets)
        and (splits is None or r.cell.split in splits)
    ]


def adopt(result: Result, source: Store, target: Store, enhancers: bool = False) -> str:
    """Move a cell's files as they are from one store into another; why not, and nothing moved, where it must not be.

    enhancers: that file too; otherwise it stays, and is found there by whoever reads both stores.
    Cells of the same data and weights that other versions of the code had at its place go, as when it is computed.
    """
    if why := refusal(result, target):
        return why
    cell = result.cell
    moves = [(source.distances_path(cell), target.distances_path(cell)), (result.path, target.path(cell))]
    moves[:0] = [(source.enhancers_path(cell), target.enhancers_path(cell))] if enhancers else []
    replaced = [o for o in target.others(cell) if (o.cell.data, o.cell.weights) == (cell.data, cell.weights)]
    try:
        for old, new in moves:
            if old.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(old, new)
        target.failed_path(cell).unlink(missing_ok=True)
        for other in replaced:
            target.remove(other)
    except OSError as error:
        raise cannot_write(target.folder, error) from error
    return ""


def carry_tables(cells: Sequence[Cell], source: Store, target: Store) -> Iterator[str]:
    """Copy the tables of the images that adopted cells are of; a line for each that cannot be read."""
    for cell in {(cell.dataset, cell.data): cell for cell in cells}.values():
        try:
            inventory.carry(source, target, cell)
        except StorageError:
            raise
        except BenchError as error:
            yield str(error)


def refusal(result: Result, target: Store) -> str:
    """Why a cell must not be adopted; empty where nothing is against it."""
    if result.record is None:
        return "it failed"
    if changed := freshness.stale(result):
        return f"it is stale ({changed[0]})"
    if not freshness.current(result.cell.method, result.cell.dataset):
        return "its plug-in is not there"
    if not result.record.contract:
        return "its method had not passed the contract when it was computed; check it and run the cell with --force"
    if target.path(result.cell).exists():
        return f"{target.folder.name} has it already"
    return ""


def remove_outdated_failures(results: Sequence[Result]) -> Iterator[tuple[Cell, str]]:
    """Remove failed cells whose plug-in is gone, or whose place has a finished cell since; each with which of these."""
    finished = {place(r) for r in results if not r.failed and not freshness.stale(r)}
    for result in results:
        if not result.failed:
            continue
        if freshness.current(result.cell.method, result.cell.dataset) is None:
            why = "its plug-in is gone"
        elif place(result) in finished:
            why = "the cell has finished since"
        else:
            continue
        try:
            result.path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(result.path.parent, error) from error
        yield result.cell, why


def place(result: Result) -> tuple[object, ...]:
    cell = result.cell
    return cell.method, cell.dataset, cell.split, cell.seed, cell.profile, cell.weights
