"""What stores hold: finished, failed and stale cells of each method on each data set."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.engine.freshness import as_now, stale
from bench.engine.store import Result
from bench.report.escape import for_terminal
from bench.report.groups import users_stores
from bench.report.notes import ranges


@dataclass
class Row:
    """Cells that differ in nothing but their split.

    stale: what has changed since, empty for current cells.  own: splits that the user has computed, where others come
    with bench.  failed: split -> error.
    """

    dataset: str
    method: str
    seed: int
    profile: str
    row: str
    data: str
    weights: tuple[str, ...]
    finished: list[int] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str, int, str]:
        return self.dataset, self.method, self.seed, self.profile


def summarise(results: Sequence[Result]) -> list[Row]:
    """A row for all cells that may be averaged, in order of data set, method, seed and profile."""
    users = users_stores(results)
    rows: dict[str, Row] = {}
    for result in results:
        cell = result.cell
        key = as_now(result).row
        if key not in rows:
            rows[key] = Row(
                cell.dataset, cell.method, cell.seed, cell.profile, key, cell.data, cell.weights, stale=stale(result)
            )
        row = rows[key]
        if result.failure:
            row.failed[cell.split] = result.failure.error
        else:
            row.finished.append(cell.split)
            if result.origin in users:
                row.own.append(cell.split)
    for row in rows.values():
        row.finished.sort()
    return sorted(rows.values(), key=lambda row: (row.dataset, row.method, row.seed, row.profile, bool(row.stale)))


def as_text(rows: Sequence[Row]) -> str:
    """A line for each row, and one for each failure."""
    if not rows:
        return "no cell yet; python -m bench run --all makes some"
    data: dict[tuple[str, str, int, str], set[str]] = {}
    weights: dict[tuple[str, str, int, str], set[tuple[str, ...]]] = {}
    for row in rows:
        data.setdefault(row.place, set()).add(row.data)
        weights.setdefault(row.place, set()).add(row.weights)
    lines = []
    for row in rows:
        words = [f"splits {ranges(row.finished) or 'none'}"]
        if row.failed:
            words.append(f"failed {ranges(row.failed)}")
        if row.own:
            words.append(f"your own {ranges(row.own)}")
        if len(data[row.place]) > 1:
            words.append(f"data {row.data[:6]}")
        if len(weights[row.place]) > 1:
            words.append(f"weights {'+'.join(w[:6] for w in row.weights) or 'none'}")
        if row.stale:
            words.append(f"stale ({'; '.join(row.stale)})")
        name = f"{row.dataset}  {row.method}  seed {row.seed}  {row.profile}"
        lines.append(for_terminal(f"{name}: {', '.join(words)}"))
        lines += [f"    split {split}: {for_terminal(error)}" for split, error in sorted(row.failed.items())]
    return "\n".join(lines)
