"""Every row of a leaderboard against every other: differences at rank 1, paired over splits."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.protocol.statistics import confidence_interval, paired_family
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

    p is of all comparisons together (`bench.protocol.statistics.paired_family`): a reader may pick the row that others
    are compared with after having seen them all.  Intervals are of each comparison by itself.
    """
    kept = rows[:MOST]
    verdicts: list[list[Verdict | None]] = [[None] * len(kept) for _ in kept]
    pairs = list(itertools.combinations(range(len(kept)), 2))
    if pairs and len(kept[0][1].splits) > 1:
        percent = np.array([group.percent(1) for _, group in kept])
        differences = np.array([percent[j] - percent[i] for i, j in pairs])
        for (i, j), own, p in zip(pairs, differences, paired_family(differences), strict=True):
            verdicts[i][j] = verdict(own, float(p))
            verdicts[j][i] = verdict(-own, float(p))
    notes = [f"only the best {MOST} rows are compared with each other"] if len(rows) > MOST else []
    return Against(tuple(label for label, _ in kept), tuple(map(tuple, verdicts)), tuple(notes))


def verdict(differences: np.ndarray, p: float) -> Verdict:
    """Of the row that the differences are in favour of where they are above 0, percent points."""
    mean = float(differences.mean())
    low, high = confidence_interval(differences.tolist())
    state = "level" if p > LEVEL else "better" if mean > 0 else "worse"
    chance = f"p {p:.3f}" if p >= 0.001 else "p < 0.001"
    return Verdict(f"{signed(mean)} ({signed(low)} to {signed(high)}), {chance}", round(mean, 4) + 0.0, state)


def signed(value: float) -> str:
    """One decimal and a sign, which what rounds to nothing has not."""
    text = f"{value:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text
