"""Two methods on one data set, paired over their common splits."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.engine.store import Result
from bench.errors import UsageError, counted
from bench.plugin.registry import unknown
from bench.protocol.statistics import paired
from bench.report.escape import for_terminal
from bench.report.groups import Group, Groups, has_schedule
from bench.report.names import normal, select

COMPARED_RANKS = (1, 5, 10, 20)


@dataclass(frozen=True)
class AtRank:
    """Means of both and of their differences, in percent points.

    ci_low, ci_high: None of a single split.  p: of the sign-flip test, exact where all flips were enumerated.
    """

    rank: int
    a: float
    b: float
    difference: float
    ci_low: float | None
    ci_high: float | None
    p: float
    exact: bool


@dataclass(frozen=True)
class Comparison:
    """Two methods at those of `COMPARED_RANKS` that their galleries have.  notes: what a reader must know of them."""

    a: str
    b: str
    dataset: str
    seed: int
    profile_a: str
    profile_b: str
    splits: list[int]
    ranks: list[AtRank]
    notes: list[str]


def compare(
    results: Sequence[Result], a: str, b: str, dataset: str, seed: int, profile: str | None = None
) -> Comparison:
    """Differences a - b in percent points at ranks 1, 5, 10, 20, each with interval and sign-flip p.

    Cells are paired within equal data and, where both methods are trained, within one schedule if they have a split of
    one in common; current cells are taken before stale ones.  profile: this schedule only, of methods that have one.

    UsageError when a row has no finished cell or the two have no split in common.
    """
    groups = Groups(results)
    dataset = one_dataset(groups, dataset)
    groups_a, groups_b = (finished(groups, method, dataset, seed, profile) for method in (a, b))
    pairs = [(x, y) for x in groups_a for y in groups_b if set(x.splits) & set(y.splits)]
    if not pairs:
        raise UsageError(f"{a} and {b} have no finished split of {dataset} in common")
    alike = [(x, y) for x, y in pairs if x.comparable == y.comparable]
    if not alike:
        raise UsageError(
            f"the cells of {a} and {b} on {dataset} are of different data or versions of the protocol: run both again"
        )
    tied = has_schedule(a) and has_schedule(b)

    def preference(pair: tuple[Group, Group]) -> tuple[bool, bool, int]:
        x, y = pair
        one_schedule = tied and x.cell.profile == y.cell.profile
        return not (x.stale or y.stale), one_schedule, len(set(x.splits) & set(y.splits))

    # Of equals the first: groups come in the order in which tables take them.
    first, second = max(alike, key=preference)
    splits = sorted(set(first.splits) & set(second.splits))
    notes = [f"{m} is stale: {'; '.join(g.stale)}" for m, g in ((a, first), (b, second)) if g.stale]
    notes += [f"{m}: your own results" for m, g in ((a, first), (b, second)) if g.own]
    unproven = [m for m, g in ((a, first), (b, second)) if not g.in_contract]
    notes += [f"{m} has not passed `check` in the form that was run" for m in dict.fromkeys(unproven)]
    size = min(first.ranks, second.ranks)
    if beyond := [str(rank) for rank in COMPARED_RANKS if rank > size]:
        notes.append(f"rank {', '.join(beyond)}: not compared, the gallery has {counted(size, 'person')}")
    return Comparison(
        a, b, dataset, seed, first.cell.profile, second.cell.profile, splits,
        [at_rank(first, second, splits, rank) for rank in COMPARED_RANKS if rank <= size], notes,
    )  # fmt: skip


def at_rank(a: Group, b: Group, splits: Sequence[int], rank: int) -> AtRank:
    of_a, of_b = (dict(zip(group.splits, group.percent(rank), strict=True)) for group in (a, b))
    values_a, values_b = [of_a[s] for s in splits], [of_b[s] for s in splits]
    test = paired([x - y for x, y in zip(values_a, values_b, strict=True)])
    several = len(splits) > 1
    low, high = (test.low, test.high) if several else (None, None)
    mean_a, mean_b = sum(values_a) / len(splits), sum(values_b) / len(splits)
    return AtRank(rank, mean_a, mean_b, test.mean, low, high, test.p, test.exact)


def one_dataset(groups: Groups, dataset: str) -> str:
    """The data set that a name or pattern stands for; UsageError where it stands for none or several."""
    names = select([dataset], sorted({r.cell.dataset for r in groups.results}), "data set")
    if len(names) > 1:
        raise UsageError(f"{dataset!r} stands for several data sets: {', '.join(names)}; name one")
    return names[0]


def finished(groups: Groups, method: str, dataset: str, seed: int, profile: str | None) -> list[Group]:
    """The groups of a method, those of `profile` only where it has schedules; UsageError without any."""
    names = groups.methods(dataset, seed)
    name = next((n for n in names if normal(n) == normal(method)), method)
    found = groups.find(dataset, name, seed)
    if not found:
        raise unknown(f"finished cell on {dataset} of", method, names)
    chosen = groups.find(dataset, name, seed, profile)
    if not chosen:
        there = ", ".join(sorted({group.cell.profile for group in found}))
        raise UsageError(f"no finished cell on {dataset} of {method} of profile {profile}: there is {there}")
    return chosen


def as_text(comparison: Comparison) -> str:
    """A line per rank."""
    c = comparison
    n = len(c.splits)
    a, b = (
        name + (f" ({profile})" if profile != "paper" else "")
        for name, profile in ((c.a, c.profile_a), (c.b, c.profile_b))
    )
    lines = [f"{a} minus {b} on {c.dataset}, paired over {n} split{'s' if n > 1 else ''}, percent points"]
    for row in c.ranks:
        interval = "one split, no interval"
        if row.ci_low is not None and row.ci_high is not None:
            interval = f"95 % CI {row.ci_low:+.2f} to {row.ci_high:+.2f}"
        kind = "exact" if row.exact else "sampled"
        lines.append(
            f"rank {row.rank:>2}: {row.a:5.1f} - {row.b:5.1f} = {row.difference:+.2f}  ({interval};"
            f" {kind} sign-flip p = {row.p:.4f})"
        )
    return "\n".join(for_terminal(line) for line in (*lines, *c.notes))
