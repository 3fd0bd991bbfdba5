"""Features known by their inner products alone: what methods that work on Gram matrices share."""

import numpy as np
from scipy.linalg import eigh

from bench.errors import BenchError


def principal_coordinates(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
