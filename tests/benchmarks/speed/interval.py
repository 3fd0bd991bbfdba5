"""The median of a few paired measurements, and how sure it is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binom

LEVEL = 0.95
LEAST_PAIRS = 6
"""With fewer, not even the smallest and the largest value hold the median between them at that level."""
NOISE = 0.05
"""By how much two runs may differ for reasons that no run sees in itself, such as where its memory lies."""


class Interval(NamedTuple):
    """A ratio, and between what it lies at `LEVEL`."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:.3g}x [{self.low:.3g}, {self.high:.3g}]"


def median_ratio(ours: Sequence[float], reference: Sequence[float]) -> Interval:
    """How many times as fast ours is: the median of the pairs' ratios, between two of their order statistics.

    Each pair lies above the true median with probability 1/2, whatever the noise is like: how many of n do is binomial,
    and the interval is exact.  ours, reference: seconds of at least `LEAST_PAIRS` pairs.
    """
    ratios = np.sort(np.asarray(reference) / np.asarray(ours))
    if len(ratios) < LEAST_PAIRS:
        raise ValueError(f"an interval needs {LEAST_PAIRS} pairs, not {len(ratios)}")
    outside = int(binom.ppf((1 - LEVEL) / 2, len(ratios), 0.5))
    low, high = float(ratios[outside - 1]), float(ratios[-outside])
    return Interval(float(np.clip(np.exp(np.median(np.log(ratios))), low, high)), low, high)


def change(new: Interval, old: Interval) -> Interval:
    """The ratio of a new ratio to an old one, with both intervals: it lies above or below 1 only where they are apart.

    For equally wide intervals at 95 % that happens by chance in about one of 200 cases that did not change.
    """
    return Interval(new.ratio / old.ratio, new.low / old.high, new.high / old.low)


def regressed(new: Interval, old: Interval) -> bool:
    """Whether the new interval lies wholly below the old one, by more than `NOISE`."""
    return change(new, old).high < 1 - NOISE
