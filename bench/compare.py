"""Two methods on one data set, paired over their common splits."""

from typing import Any

from bench.errors import UsageError
from bench.registry import unknown
from bench.spec import method_spec
from bench.statistics import paired
from bench.store import Store
from bench.tables import collect

COMPARED_RANKS = (1, 5, 10, 20)


def compare(store: Store, a: str, b: str, dataset: str, seed: int) -> dict[str, Any]:
    """Differences a - b in percent points at ranks 1, 5, 10, 20, each with interval and exact sign-flip p.

    UsageError when a row has no finished cell or the two have no split in common.
    """
    results, _ = store.read_all()
    a, b = canonical_name(a), canonical_name(b)
    curves = {}
    for method in (a, b):
        cells, found = collect(results, dataset, method, seed)
        if not cells:
            names = sorted({r.cell.method for r in results if r.cell.dataset == dataset})
            if not names:
                raise unknown("measured data set", dataset, sorted({r.cell.dataset for r in results}))
            raise unknown(f"finished cell on {dataset} of", method, names)
        curves[method] = {cell.cell.split: curve for cell, curve in zip(cells, found, strict=True)}
    splits = sorted(set(curves[a]) & set(curves[b]))
    if not splits:
        raise UsageError(f"{a} and {b} have no finished split of {dataset} in common")
    rows = []
    for rank in COMPARED_RANKS:
        values = {m: [100 * curves[m][s][min(rank, len(curves[m][s])) - 1] for s in splits] for m in (a, b)}
        test = paired([x - y for x, y in zip(values[a], values[b], strict=True)])
        rows.append(
            {
                "rank": rank,
                "a": sum(values[a]) / len(splits),
                "b": sum(values[b]) / len(splits),
                "difference": test.mean,
                "ci_low": None if len(splits) < 2 else test.low,
                "ci_high": None if len(splits) < 2 else test.high,
                "p": test.p,
                "exact": test.exact,
            }
        )
    return {"a": a, "b": b, "dataset": dataset, "seed": seed, "splits": splits, "ranks": rows}


def canonical_name(method: str) -> str:
    """A method's canonical text; as it is where its plug-in is not there any more."""
    try:
        return method_spec(method).text
    except UsageError:
        return method


def as_text(comparison: dict[str, Any]) -> str:
    """A line per rank."""
    n = len(comparison["splits"])
    lines = [
        f"{comparison['a']} minus {comparison['b']} on {comparison['dataset']}, paired over {n} splits, percent points"
    ]
    for row in comparison["ranks"]:
        interval = "one split, no interval" if n < 2 else f"95 % CI {row['ci_low']:+.2f} to {row['ci_high']:+.2f}"
        kind = "exact" if row["exact"] else "sampled"
        lines.append(
            f"rank {row['rank']:>2}: {row['a']:5.1f} - {row['b']:5.1f} = {row['difference']:+.2f}  ({interval};"
            f" {kind} sign-flip p = {row['p']:.4f})"
        )
    return "\n".join(lines)
