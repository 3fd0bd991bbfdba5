"""Distances between rows of features, which several methods share."""

import numpy as np

PART = ("distances", 1)


def euclidean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs of rows, a (n, r) and b (m, r) -> float64 (n, m)."""
    square = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    product = a @ b.T
    product *= 2
    square -= product
    return np.sqrt(np.maximum(square, 0, out=square), out=square)
