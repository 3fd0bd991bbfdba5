"""Inner products of features in float64, tile by tile: what a tile is depends on nothing but the rows' places."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from joblib import Parallel, delayed
from scipy.linalg.blas import dgemm

TILE = 512
DEPTH = 768
"""Numbers a row: a multiple of how many of them OpenBLAS sums before it adds to the result, on any x86 processor."""


def inner_products(a: np.ndarray, b: np.ndarray, symmetric: bool = False, jobs: int = 1) -> np.ndarray:
    """a b' in float64, tile by tile: the tiles do not depend on `jobs`, so neither does the last bit of the result.

    a (n, d), b (m, d) float32; returns (n, m).  symmetric: a is b, only one triangle is computed.
    """
    out = np.empty((len(a), len(b)))
    right = strips(b, jobs + 1)
    left = right if symmetric else strips(a, jobs)

    def fill(i: int, j: int) -> None:
        own = symmetric and i == j
        tile = own_product(left(i)) if own else left(i) @ right(j).T
        out[i : i + tile.shape[0], j : j + tile.shape[1]] = tile
        if symmetric and not own:
            out[j : j + tile.shape[1], i : i + tile.shape[0]] = tile.T

    # Backwards, so that a row's last strip is the next row's own.
    corners = [(i, j) for i in range(0, len(a), TILE) for j in range(0, len(b), TILE)[::-1] if not symmetric or j >= i]
    if jobs > 1 and len(corners) > 1:
        Parallel(n_jobs=jobs, prefer="threads")(delayed(fill)(*corner) for corner in corners)
    else:
        for corner in corners:
            fill(*corner)
    return out


def strips(rows: np.ndarray, kept: int) -> Callable[[int], np.ndarray]:
    """A tile's rows from a place on, in float64.  kept: how many of the last ones stay in memory."""
    return lru_cache(kept)(lambda i: rows[i : i + TILE].astype(np.float64))


def tile_product(wide: np.ndarray, others: np.ndarray) -> np.ndarray:
    """wide (n, d) float64, others (m, d) float32."""
    return wide @ others.astype(np.float64).T


def own_product(wide: np.ndarray) -> np.ndarray:
    """wide wide', float64 (n, d), of which one triangle is computed: to the bit as `tile_product` of OpenBLAS.

    numpy takes syrk where both operands are one.  It sums a row's last numbers in other blocks than gemm does, so
    these are left to gemm; and where rows are few or no multiple of 8, elements at the edge have an order of their own.
    """
    rows, length = wide.shape
    most = (length - DEPTH // 2) // DEPTH * DEPTH
    if most <= 0 or rows < 64 or rows % 8:
        return wide @ wide.copy().T
    out, rest = wide[:, :most] @ wide[:, :most].T, wide[:, most:].copy()
    return dgemm(1.0, rest.T, rest.T, 1.0, out.T, trans_a=True, overwrite_c=True).T
