"""A figure from Python: ``bench.plot("cmc", dataset="caviar")``."""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.engine.store import read_stores
from bench.errors import UsageError
from bench.figures.kinds import find_kind
from bench.figures.output import form_of, write
from bench.figures.people import drawn
from bench.figures.request import Request
from bench.report.frame import store_folders

if TYPE_CHECKING:
    from bench.figures.canvas import Figure


def plot(
    kind: str,
    method: str | Sequence[str] | None = None,
    dataset: str | Sequence[str] | None = None,
    *,
    seed: int = 0,
    profile: str | None = None,
    stores: Iterable[str | Path] | None = None,
    data: str | Path | None = None,
    output: str | Path | None = None,
    split: int = 0,
    probe: str | Sequence[str] | None = None,
) -> "Figure":
    """A figure of stored results, sized for one column of a two-column paper.

    Parameters
    ----------
    kind
        ``cmc``, ``alpha``, ``fusion``, ``resolution``, ``training``, ``cost``, ``history``, ...
    method, dataset
        Names or globs, for kinds that show images names; where none is given, what the kind shows by itself.
    seed, profile
        Cells of this seed, and of this training schedule where a method has schedules.
    stores
        As for `bench.results`.
    data
        The folder that holds the data sets, for kinds that show images (``BENCH_DATA``).
    output
        A file to write it to as well, ending in ``.png``, ``.pdf`` or ``.svg``; must be given where people are shown.
    split, probe
        For kinds that show images: of which cell, and which, by their files or by whom they show.

    Returns
    -------
    matplotlib.figure.Figure
        Its ``notes`` are what a reader must know beside it, a line each.

    Raises
    ------
    UsageError
        For an unknown kind, name or suffix, where there is no cell of what is asked for, and without matplotlib.
    BenchError
        Where the file cannot be written.
    """
    chosen = find_kind(kind)
    if output is not None:
        form_of(Path(output))
    elif chosen.people and not all(map(drawn, listed(dataset))):
        raise UsageError(f"this {kind} figure shows people: name the file for it, output=...")
    folders = store_folders(stores)
    results, problems = read_stores(folders)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    root = data or os.environ.get("BENCH_DATA") or None
    figure = chosen.draw(
        Request(
            results, listed(method), listed(dataset), seed, profile, tuple(folders),
            Path(root).expanduser() if root else None, split, listed(probe),
        )
    )  # fmt: skip
    if output is not None:
        write(figure, Path(output).expanduser())
    return figure


def listed(given: str | Sequence[str] | None) -> Sequence[str]:
    return () if given is None else [given] if isinstance(given, str) else list(given)
