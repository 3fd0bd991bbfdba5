"""A figure from Python: ``bench.plot("cmc", dataset="caviar")``."""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.engine.store import read_stores
from bench.figures.kinds import find_kind
from bench.figures.output import form_of, write
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
) -> "Figure":
    """A figure of stored results, sized for one column of a two-column paper.

    Parameters
    ----------
    kind
        ``cmc``, ``alpha``, ``fusion``, ``resolution``, ``training``, ``cost``, ``history``, ...
    method, dataset
        Names or globs; where none is given, what the kind shows by itself.
    seed, profile
        Cells of this seed, and of this training schedule where a method has schedules.
    stores
        As for `bench.results`.
    data
        The folder that holds the data sets, for kinds that show images (``BENCH_DATA``).
    output
        A file to write it to as well, ending in ``.png``, ``.pdf`` or ``.svg``.

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
    folders = store_folders(stores)
    results, problems = read_stores(folders)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    root = data or os.environ.get("BENCH_DATA") or None
    drawn = chosen.draw(
        Request(results, listed(method), listed(dataset), seed, profile, tuple(folders), Path(root) if root else None)
    )
    if output is not None:
        write(drawn, Path(output).expanduser())
    return drawn


def listed(given: str | Sequence[str] | None) -> Sequence[str]:
    return () if given is None else [given] if isinstance(given, str) else list(given)
