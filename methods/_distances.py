"""Distances between rows of features, which several methods share."""

import numpy as np

PART = ("distances", 1)
ROWS = 16


def euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs of rows, a (n, r) and b (m, r) -> (n, m) of their type."""
    own, other = np.einsum("ij,ij->i", a, a)[:, None], np.einsum("ij,ij->i", b, b)
    out = a @ (2 * b).T  # exactly twice the products
    # A few rows at a time stay in the processor's cache from the first step to the last.
    squares = np.empty((min(ROWS, len(a)), len(b)), out.dtype)
    for start in range(0, len(a), ROWS):
        rows = slice(start, start + ROWS)
        some = squares[: len(a) - start]
        np.subtract(np.add(own[rows], other, out=some), out[rows], out=some)
        # Where all are above 0 the root says so, which costs no step.
        try:
            with np.errstate(invalid="raise"):
                np.sqrt(some, out=out[rows])
        except FloatingPointError:
            np.sqrt(np.maximum(some, 0, out=some), out=out[rows])
    return out
