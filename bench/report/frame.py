"""Results as pandas frames, for whoever goes on from here."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.engine.freshness import as_now, stale
from bench.engine.store import MEASURED, Result, own_folder, read_stores
from bench.errors import UsageError
from bench.report.names import select
from bench.report.published import published

if TYPE_CHECKING:
    import pandas as pd

FRAME_COLUMNS = {
    "method": str,
    "dataset": str,
    "split": int,
    "rank": int,
    "value": float,
    "map": float,
    "seconds": float,
    "memory_mib": float,
    "seed": int,
    "profile": str,
    "fingerprint": str,
    "row": str,
    "weights": str,
    "stale": bool,
    "store": str,
    "contract": bool,
}


def results(
    method: str | Sequence[str] | None = None,
    dataset: str | Sequence[str] | None = None,
    *,
    ranks: Sequence[int] | None = (1, 5, 10, 20),
    seed: int | None = None,
    profile: str | None = None,
    stores: Iterable[str | Path] | None = None,
) -> "pd.DataFrame":
    """Stored results as a tidy frame, one row for each cell and rank.

    Only rows of equal ``row`` may be averaged: they differ in their split alone.

    Parameters
    ----------
    method, dataset
        Names or globs; all where none is given.
    ranks
        Ranks of the CMC, from 1; NaN beyond the size of the gallery, and beyond the ranks that are stored.  None:
        every rank that a cell has.
    seed, profile
        Cells of this seed, or training schedule, only.
    stores
        Folders of results; where none is given those that come with bench, and the user's own (``BENCH_RESULTS``, or
        ``results/local``).

    Returns
    -------
    pandas.DataFrame
        The columns, which `bench export` writes too:

        - ``method``, ``dataset``: full names, files named by their content;
        - ``split``: number of the split; ``rank``: of the CMC, from 1;
        - ``value``: the CMC at that rank, in percent; ``map``: the cell's mAP, in percent;
        - ``seconds``, ``memory_mib``: what the whole cell took, the latter NaN where it was not recorded;
        - ``seed``: of splits, low resolution and models; ``profile``: the training schedule;
        - ``fingerprint``: names the cell; ``row``: equal for cells that differ in their split alone;
        - ``weights``: SHA-256 of each weights file that training started from, joined by ``+``;
        - ``stale``: whether the code as it is would compute another number;
        - ``store``: name of the folder that the cell is in; ``contract``: whether the method had passed ``check``.

    Raises
    ------
    UsageError
        For a name that no cell has, a rank below 1, or a folder that is not there.
    """
    import warnings

    if any(rank < 1 for rank in ranks or ()):
        raise UsageError("ranks begin at 1")
    cells, problems = read_stores(store_folders(stores))
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    chosen = [r for r in cells if seed in (None, r.cell.seed) and profile in (None, r.cell.profile)]
    for what, wanted in (("method", method), ("dataset", dataset)):
        if wanted is not None:
            names = sorted({str(getattr(r.cell, what)) for r in chosen})
            patterns = [wanted] if isinstance(wanted, str) else list(wanted)
            kept = set(select(patterns, names, {"dataset": "data set"}.get(what, what)))
            chosen = [r for r in chosen if getattr(r.cell, what) in kept]
    return frame_of(chosen, ranks)


def frame_of(cells: Iterable[Result], ranks: Sequence[int] | None) -> "pd.DataFrame":
    """Finished cells as a frame of `FRAME_COLUMNS`.  ranks: as for `results`."""
    import pandas as pd

    rows = [row for result in cells for row in rows_of(result, ranks)]
    return pd.DataFrame(rows, columns=list(FRAME_COLUMNS)).astype(FRAME_COLUMNS)


def rows_of(result: Result, ranks: Sequence[int] | None) -> list[tuple[object, ...]]:
    """The rows of one cell, in the order of `FRAME_COLUMNS`."""
    cell, record = result.cell, result.finished
    ranks = range(1, len(record.cmc) + 1) if ranks is None else ranks
    shared = (
        100 * record.map,
        record.cost["total_seconds"],
        record.cost.get("peak_memory_mib", float("nan")),
        cell.seed,
        cell.profile,
        cell.fingerprint,
        as_now(result).row,
        "+".join(cell.weights),
        bool(stale(result)),
        result.origin,
        record.contract,
    )
    return [
        (cell.method, cell.dataset, cell.split, rank, 100 * value, *shared)
        for rank, value in ((rank, record.cmc[rank - 1] if rank <= len(record.cmc) else float("nan")) for rank in ranks)
    ]


def store_folders(stores: Iterable[str | Path] | None = None) -> list[Path]:
    """The folders to read; UsageError for a named one that is not there."""
    if stores is None:
        return [MEASURED, own_folder()]
    folders = [Path(store).expanduser() for store in stores]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"no folder of results {folder}")
    return folders


def published_results() -> "pd.DataFrame":
    """The published numbers as a tidy frame: table, dataset, method, rank, value (percent), erratum, shots."""
    import pandas as pd

    return pd.DataFrame([vars(p) for p in published()])
