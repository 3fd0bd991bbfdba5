"""What the store holds: finished, failed and stale cells of each method on each data set."""

from typing import Any

from bench.engine.store import Store
from bench.report.tables import is_stale


def summarise(store: Store) -> tuple[list[dict[str, Any]], list[str]]:
    """One row per (data set, method, seed, profile): splits finished, failed, stale; and lines for unreadable files."""
    results, problems = store.read_all(failures=True)
    rows: dict[tuple[str, str, int, str], dict[str, Any]] = {}
    for result in results:
        cell = result.cell
        row = rows.setdefault(
            (cell.dataset, cell.method, cell.seed, cell.profile),
            {
                "dataset": cell.dataset,
                "method": cell.method,
                "seed": cell.seed,
                "profile": cell.profile,
                "finished": [],
                "stale": [],
                "failed": {},
            },
        )
        if result.failed:
            row["failed"][str(cell.split)] = result.record["error"]
        else:
            row["finished"].append(cell.split)
            if is_stale(result):
                row["stale"].append(cell.split)
    return [rows[key] for key in sorted(rows)], problems


def ranges(numbers: list[int]) -> str:
    """``0-3,7``."""
    groups: list[list[int]] = []
    for number in sorted(set(numbers)):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ",".join(f"{g[0]}-{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)


def as_text(rows: list[dict[str, Any]]) -> str:
    """A line for each row, and one for each failure."""
    if not rows:
        return "no cell yet; python -m bench run --all makes some"
    lines = []
    for row in rows:
        stale = f", stale {ranges(row['stale'])}" if row["stale"] else ""
        failed = f", failed {','.join(row['failed'])}" if row["failed"] else ""
        lines.append(
            f"{row['dataset']}  {row['method']}  seed {row['seed']}  {row['profile']}: splits"
            f" {ranges(row['finished']) or 'none'}{stale}{failed}"
        )
        lines += [f"    split {split}: {error}" for split, error in row["failed"].items()]
    return "\n".join(lines)
