"""Two methods on one data set, paired over their common splits."""

from collections.abc import Sequence
from typing import Any

from bench.engine.store import Result
from bench.errors import UsageError
from bench.plugin.registry import unknown
from bench.plugin.spec import method_spec
from bench.protocol.statistics import paired
from bench.report.tables import Group, any_cell, percent_at, row_groups

COMPARED_RANKS = (1, 5, 10, 20)


def compare(
    results: Sequence[Result], a: str, b: str, dataset: str, seed: int, profile: str | None = None
) -> dict[str, Any]:
    """Differences a - b in percent points at ranks 1, 5, 10, 20, each with interval and exact sign-flip p.

    Cells are paired within one version of the data and, where both methods are trained, within one schedule if they
    have a split of one in common.  profile: this schedule only, of methods that have one.

    UsageError when a row has no finished cell or the two have no split in common.
    """
    a, b = canonical_name(a), canonical_name(b)
    groups_a, groups_b = (finished(results, method, dataset, seed, profile) for method in (a, b))
    pairs = [(x, y) for x in groups_a for y in groups_b if any_cell(x).data == any_cell(y).data and set(x) & set(y)]
    if not pairs:
        raise UsageError(f"{a} and {b} have no finished split of {dataset} in common")
    tied = has_schedule(a) and has_schedule(b)

    def preference(pair: tuple[Group, Group]) -> tuple[bool, int]:
        x, y = pair
        return tied and any_cell(x).profile == any_cell(y).profile, len(set(x) & set(y))

    # Of equals the first: groups come in the order in which tables take them.
    best = max(pairs, key=preference)
    splits = sorted(set(best[0]) & set(best[1]))
    curves = {m: {split: group[split][1] for split in splits} for m, group in zip((a, b), best, strict=True)}
    rows = []
    for rank in COMPARED_RANKS:
        values = {m: [percent_at(curves[m][s], rank) for s in splits] for m in (a, b)}
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
    profiles = {"profile_a": any_cell(best[0]).profile, "profile_b": any_cell(best[1]).profile}
    return {"a": a, "b": b, "dataset": dataset, "seed": seed, **profiles, "splits": splits, "ranks": rows}


def finished(results: Sequence[Result], method: str, dataset: str, seed: int, profile: str | None) -> list[Group]:
    """The `row_groups` of a method, those of `profile` only where it has schedules; UsageError without any."""
    groups = row_groups(results, dataset, method, seed)
    if not groups:
        names = sorted({r.cell.method for r in results if r.cell.dataset == dataset})
        if not names:
            raise unknown("measured data set", dataset, sorted({r.cell.dataset for r in results}))
        raise unknown(f"finished cell on {dataset} of", method, names)
    if profile is None or not has_schedule(method):
        return groups
    there = sorted({any_cell(group).profile for group in groups})
    if profile not in there:
        raise UsageError(f"no finished cell on {dataset} of {method} of profile {profile}: there is {', '.join(there)}")
    return [group for group in groups if any_cell(group).profile == profile]


def has_schedule(method: str) -> bool:
    """Whether a method's profile matters; True where its plug-in is not there any more."""
    from bench.engine.run import has_profiles

    try:
        return has_profiles(method_spec(method))
    except UsageError:
        return True


def canonical_name(method: str) -> str:
    """A method's canonical text; as it is where its plug-in is not there any more."""
    try:
        return method_spec(method).text
    except UsageError:
        return method


def as_text(comparison: dict[str, Any]) -> str:
    """A line per rank."""
    n = len(comparison["splits"])
    a, b = (
        comparison[key] + (f" ({profile})" if (profile := comparison[f"profile_{key}"]) != "paper" else "")
        for key in ("a", "b")
    )
    lines = [f"{a} minus {b} on {comparison['dataset']}, paired over {n} split{'s' if n > 1 else ''}, percent points"]
    for row in comparison["ranks"]:
        interval = "one split, no interval" if n < 2 else f"95 % CI {row['ci_low']:+.2f} to {row['ci_high']:+.2f}"
        kind = "exact" if row["exact"] else "sampled"
        lines.append(
            f"rank {row['rank']:>2}: {row['a']:5.1f} - {row['b']:5.1f} = {row['difference']:+.2f}  ({interval};"
            f" {kind} sign-flip p = {row['p']:.4f})"
        )
    return "\n".join(lines)
