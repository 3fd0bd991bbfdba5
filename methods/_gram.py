"""Features known by their inner products alone: what methods that work on Gram matrices share."""

import numpy as np
from scipy.linalg import eigh
from sklearn.preprocessing import normalize

from bench.errors import BenchError

PART = ("gram", 1)

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]
DIMENSION = 400  # most whitened coordinates: those of little variance carry noise


def principal_coordinates(gram: np.ndarray) -> Axes:
    """Coordinates of centred training rows on their principal axes, the widest first.

    gram: float64 (n, n), inner products of the rows.  Returns rows (n, r), coef (n, r) and offset (r,): a new row x has
    the coordinates k(x, training rows) @ coef - offset.  r is the rank of the centred rows.

    Raises BenchError when a value is not finite or the rows are all the same.
    """
    gram = np.asarray(gram, dtype=float)
    if not np.isfinite(gram).all():
        raise BenchError("the Gram matrix of the training images has values that are not finite")
    means = gram.mean(axis=0)
    values, vectors = eigh(gram - means - means[:, None] + means.mean(), driver="evd", check_finite=False)
    kept = values > len(gram) * np.finfo(float).eps * max(values[-1], gram.diagonal().max())
    if not kept.any():
        raise BenchError("the training images are all the same: there is nothing to learn from equal features")
    lengths, axes = np.sqrt(values[kept][::-1]), vectors[:, kept][:, ::-1]
    # The axes of centred rows sum to 0, so that only the training rows' own means are left to subtract.
    coef = axes / lengths
    coef -= coef.mean(axis=0)
    return axes * lengths, coef, means @ coef


class Whitening:
    """Features by their inner products with training rows: principal coordinates, whitened, of unit length.

    axes: the `principal_coordinates` of the training rows.  smoothing: added to the variances, in units of their mean.
    columns: where these rows stand among those that inner products are given with.
    """

    def __init__(self, axes: Axes, smoothing: float, columns: np.ndarray) -> None:
        rows, coef, offset = axes
        variance = np.square(rows).mean(axis=0)
        scale = 1 / np.sqrt(variance + smoothing * variance.mean())
        self.columns = columns
        self.coef, self.offset = (coef * scale)[:, :DIMENSION], (offset * scale)[:DIMENSION]

    def __call__(self, inner: np.ndarray) -> np.ndarray:
        """(m, N) inner products with all rows -> float64 (m, p), unit rows."""
        return normalize(inner[:, self.columns] @ self.coef - self.offset)
