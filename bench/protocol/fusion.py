"""Multi-resolution adaptive fusion of anchor models (Jiao et al. AAAI 2018, Eq. 6-8)."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

PART = ("fusion", 1)

ANCHORS = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 4))
SIGMA_GRID = (0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0)


def resolution_ratio(probe_area: np.ndarray, gallery_area: np.ndarray) -> np.ndarray:
    """r of Eq. 7, (P,): sqrt(probe's pixel area / mean pixel area of the gallery-side images), native sizes."""
    return np.sqrt(probe_area / gallery_area.mean())


def weights(r: np.ndarray, anchors: Sequence[Fraction], sigma: float) -> np.ndarray:
    """w of Eq. 8, (P, anchors): exp(-(r - m_i)^2 / sigma^2), each row divided by its largest value.

    The division leaves every probe's ranking as it is and keeps a tiny sigma from underflowing to 0.
    """
    squared = (r[:, None] - np.array([float(m) for m in anchors])) ** 2
    return np.exp(-(squared - squared.min(axis=1, keepdims=True)) / sigma**2)


def fuse(distances: Mapping[Fraction, np.ndarray], r: np.ndarray, sigma: float, normalise: bool = False) -> np.ndarray:
    """Eq. 6: sum_i w_i D_i over the anchors given.  distances: anchor ratio -> (P, G); returns (P, G).

    normalise: divide each D_i by its mean absolute value first.
    """
    return weighted_sum(distances, weights(r, list(distances), sigma), normalise)


def weighted_sum(distances: Mapping[Fraction, np.ndarray], w: np.ndarray, normalise: bool = False) -> np.ndarray:
    """Likewise of weights (P, anchors)."""
    anchors = list(distances)
    scale = [np.abs(distances[m]).mean() or 1.0 if normalise else 1.0 for m in anchors]
    return np.sum([w[:, [i]] * distances[m] / scale[i] for i, m in enumerate(anchors)], axis=0)


def best_sigma(scores: Mapping[float, tuple[float, float]]) -> float:
    """The sigma of the best (rank-1, mAP) on validation people: by rank-1, then mAP, then the larger sigma."""
    return max(scores, key=lambda sigma: (*scores[sigma], sigma))
