"""Means, intervals and tests over splits, and how far a measured mean may lie from a published one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PAPER_SPLITS = 10
EXACT_UP_TO = 16
SAMPLED_FLIPS = 99_999
FAMILY_FLIPS = 9_999
ROUNDING = 1e-9  # percent points
# Student's t, 97.5 %, of 1 to 19 degrees of freedom: a table of at most twenty splits needs no scipy, whose import
# takes longer than all else that printing it does.
T_975 = (
    12.7062047362,
    4.30265272975,
    3.18244630528,
    2.7764451052,
    2.57058183564,
    2.44691185114,
    2.36462425159,
    2.3060041352,
    2.2621571628,
    2.22813885199,
    2.20098516009,
    2.17881282967,
    2.16036865646,
    2.14478668792,
    2.13144954556,
    2.11990529922,
    2.10981557783,
    2.10092204024,
    2.09302405441,
)


def confidence_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean over splits; (nan, nan) for fewer than two values.

    Splits share people, so this is the spread of the protocol's repeats rather than of new data.
    """
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    half = float(t_quantile(n - 1, (1 + level) / 2) * np.std(values, ddof=1) / np.sqrt(n))
    mean = float(np.mean(values))
    return mean - half, mean + half


def t_quantile(freedom: int, share: float) -> float:
    """The value below which this share of Student's t of so many degrees of freedom lies."""
    if share == 0.975 and freedom <= len(T_975):
        return T_975[freedom - 1]
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


@dataclass(frozen=True)
class Paired:
    """A paired comparison over splits.  p: two-sided sign-flip test; exact when all 2^n flips were enumerated."""

    mean: float
    low: float
    high: float
    p: float
    n: int
    exact: bool


def paired(differences: Sequence[float], seed: int = 0) -> Paired:
    """Mean difference, its t interval, and the sign-flip test of "no difference" (exact up to 16 splits).

    p is the share of sign patterns whose mean is at least as far from 0 as the one observed.
    """
    d = np.asarray(differences, float)
    exact = len(d) <= EXACT_UP_TO
    p = enumerated_flips(d) if exact else sampled_flips(d, seed)
    return Paired(float(d.mean()), *confidence_interval(d.tolist()), p, len(d), exact)


def enumerated_flips(d: np.ndarray) -> float:
    """Two-sided p of the mean over all sign patterns, without scipy.stats, whose import takes longer than reading a
    thousand results."""
    patterns = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d))) & 1
    means = np.abs((1 - 2 * patterns) @ d) / len(d)
    # A flip that gives the observed mean again must count although its sum may round differently.
    return float(np.mean(means >= means[0] - ROUNDING))


def sampled_flips(d: np.ndarray, seed: int) -> float:
    """Two-sided p of the mean over `SAMPLED_FLIPS` random sign patterns."""
    from scipy.stats import permutation_test

    def mean(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(np.mean(sample, axis=axis)).round(9)  # as there: of equal means some round differently

    test = permutation_test(
        (d,),
        mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=SAMPLED_FLIPS,
        random_state=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def paired_family(differences: np.ndarray, seed: int = 0) -> np.ndarray:
    """p of "no difference" for many paired comparisons at once: the chance of any one as clear, if there were none.

    differences: (comparisons, splits) of pairs over the same splits.  The sign-flip test of `paired`, of the largest
    studentised mean of all comparisons (max-T; Westfall and Young, Resampling-Based Multiple Testing, 1993): the signs
    of a split are flipped in all of them together, so how comparisons depend on each other is accounted for.  All 2^n
    patterns up to 16 splits, more are sampled.  One p in (0, 1] for each comparison.
    """
    d = np.asarray(differences, float)
    n = d.shape[1]
    if n <= EXACT_UP_TO:
        flips = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        flips = np.random.default_rng(seed).choice((-1.0, 1.0), size=(FAMILY_FLIPS, n))
        flips[0] = 1.0  # what was observed counts
    size = np.sqrt(np.mean(d**2, axis=1, keepdims=True))
    # Flips leave the sum of squares as it is: this grows with Student's t, and is at most 1.
    scaled = np.divide(d, n * size, out=np.zeros_like(d), where=size > 0)
    largest = np.full(len(flips), 0.0)
    for some in np.array_split(scaled, max(1, len(scaled) // 200)):
        largest = np.maximum(largest, np.abs(flips @ some.T).max(axis=1, initial=0.0))
    observed = np.abs(scaled.sum(axis=1))
    return (largest[None, :] >= observed[:, None] - ROUNDING).mean(axis=1)


def tolerance(measured: Sequence[float], published: float, test_people: int) -> float:
    """How far the mean of n measured splits may lie from a published 10-split mean: 1.96 sqrt(s^2/n + s^2/10).

    All in percent.  s: the larger of the measured standard deviation over splits and one split's binomial one.
    """
    p = published / 100
    binomial = 100 * np.sqrt(max(p * (1 - p), 0.0) / test_people)
    spread = float(np.std(measured, ddof=1)) if len(measured) > 1 else 0.0
    s = max(spread, float(binomial))
    return float(1.96 * np.sqrt(s**2 / len(measured) + s**2 / PAPER_SPLITS))
