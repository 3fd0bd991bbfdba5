"""Every row of a leaderboard against every other: differences at rank 1, paired over splits."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from bench.protocol.statistics import holm
from bench.report.compare import AtRank, at_rank
from bench.report.groups import Group

MOST = 60
"""Rows that are compared with each other; of more the best."""
LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """A row against another: what is printed, the difference, and ``better``, ``worse`` or ``level``."""

    text: str
    value: float
    state: str


@dataclass(frozen=True)
class Against:
    """labels: of the rows that are compared, best first.  verdicts: row number -> number of the other -> verdict."""

    labels: tuple[str, ...]
    verdicts: tuple[tuple[Verdict | None, ...], ...]
    notes: tuple[str, ...] = ()


def against(rows: Sequence[tuple[str, Group]]) -> Against:
    """Compare rows of equal data and splits, best first, a label and its cells each.

    The p values of all comparisons with one row are adjusted together (`bench.protocol.statistics.holm`).
    """
    kept = rows[:MOST]
    tests: dict[tuple[int, int], AtRank] = {}
    for (i, (_, a)), (j, (_, b)) in itertools.combinations(enumerate(kept), 2):
        if len(a.splits) > 1:
            tests[i, j] = at_rank(a, b, a.splits, 1)
    verdicts = []
    for i in range(len(kept)):
        found = {j: tests[min(i, j), max(i, j)] for j in range(len(kept)) if (min(i, j), max(i, j)) in tests}
        adjusted = dict(zip(found, holm([test.p for test in found.values()]), strict=True))
        verdicts.append(
            tuple(verdict(found[j], adjusted[j], 1 if j < i else -1) if j in found else None for j in range(len(kept)))
        )
    notes = [f"only the best {MOST} rows are compared with each other"] if len(rows) > MOST else []
    return Against(tuple(label for label, _ in kept), tuple(verdicts), tuple(notes))


def verdict(test: AtRank, p: float, sign: int) -> Verdict:
    """Of the other row minus this one.  sign: 1 where the test is of that difference, -1 of its opposite."""
    # Zeros are without a sign, which rounding and the other direction would give them.
    low, high = sorted(round(sign * (value or 0.0), 4) + 0.0 for value in (test.ci_low, test.ci_high))
    difference = round(sign * test.difference, 4) + 0.0
    state = "level" if p > LEVEL else "better" if difference > 0 else "worse"
    return Verdict(f"{difference:+.1f} ({low:+.1f} to {high:+.1f}), p {p:.3f}", difference, state)
