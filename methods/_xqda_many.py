"""XQDA on many rows: the steps of `methods.xqda`, in little more than two matrices of rows x rows.

With gram = L L' (Cholesky with pivoting) the rows of L are the training rows in an orthonormal basis.  A covariance of
differences between views is L' S L / pairs, where S, the Laplacian of the graph that joins the rows of each pair, is
never formed.  L keeps the lower triangle of the first matrix, whose upper one takes the intra-personal covariance and
then its Cholesky factor; the second matrix is the extra-personal covariance, all that is made of it, and at last the
reflections that lead to a tridiagonal matrix.  Of that only the wanted eigenvectors are computed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import blas, cho_solve, eigh_tridiagonal, inv, lapack, solve_triangular
from scipy.sparse import csr_array

from bench.errors import BenchError

BLOCK = 512
Laplacian = Callable[[np.ndarray], np.ndarray]


def fit_many(
    gram: np.ndarray,
    gallery_labels: np.ndarray,
    probe_labels: np.ndarray,
    ridge: float,
    solver: Literal["svd", "eigh"],
) -> tuple[np.ndarray, np.ndarray]:
    """`methods.xqda.fit_xqda` of checked arguments; gram is overwritten."""
    largest = gram.diagonal().max()
    factor, order, rank, _ = lapack.dpstrf(gram.T, lower=1, overwrite_a=1)
    order -= 1
    below = factor[rank:, :rank].copy()
    lower = Lower(packed(factor, slice(0, rank), rank), below)

    labels = np.unique(np.concatenate([gallery_labels, probe_labels]), return_inverse=True)[1][order]
    of_probe = np.repeat([False, True], [len(gallery_labels), len(probe_labels)])[order]
    same, n_same = laplacian(labels, of_probe)
    every, n_every = laplacian(np.zeros_like(labels), of_probe)

    def intra(rows: np.ndarray) -> np.ndarray:
        return same(rows) / n_same

    def extra(rows: np.ndarray) -> np.ndarray:
        return (every(rows) - same(rows)) / (n_every - n_same)

    matrix = np.empty((rank, rank), order="F")
    for i, j, block in lower.scatter(extra):
        matrix[i, j], matrix[j, i] = block, block.T
    if not matrix.trace() > len(gram) * np.finfo(float).eps * largest:
        raise BenchError("training images of different people have equal features: XQDA needs them to differ")
    for i, j, block in lower.scatter(intra):
        lower.square[i, j] = block
    np.einsum("ii->i", lower.square)[...] += ridge
    root, _ = lapack.dpotrf(lower.square, lower=0, clean=0, overwrite_a=1)

    if solver == "svd":
        matrix = times_transposed(cho_solve((root, False), matrix, overwrite_b=True, check_finite=False))
        directions = eigenvectors_above_one(matrix)
    else:
        matrix = blas.dtrsm(1.0, root, matrix, trans_a=1, overwrite_b=1)
        matrix = blas.dtrsm(1.0, root, matrix, side=1, overwrite_b=1)
        directions = solve_triangular(root, eigenvectors_above_one(matrix), check_finite=False)
    del matrix

    triangle = lower.restored()
    projected = np.concatenate([blas.dtrmm(1.0, triangle, directions, lower=1), below @ directions])
    inner = projected.T @ intra(projected) + ridge * (directions.T @ directions)
    metric = inv(inner) - inv(projected.T @ extra(projected))
    coef = np.zeros((len(gram), directions.shape[1]))
    coef[order[:rank]] = solve_triangular(triangle, directions, lower=True, trans="T", check_finite=False)
    return coef, metric


@dataclass
class Lower:
    """L (n, r), lower triangular in its first r rows.

    square: (r, r) in Fortran order, which holds L below the blocks of its diagonal, and may take anything else in these
    and above.  below: the other rows, which depend on the first ones.
    """

    square: np.ndarray
    below: np.ndarray

    def __post_init__(self) -> None:
        self._diagonal = [(part, np.tril(self.square[part, part])) for part in blocks(len(self.square))]

    def scatter(self, between: Laplacian) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """L' S L by blocks (rows, columns, block), the rows no later than the columns.  between: rows -> S rows."""
        rank = len(self.square)
        for columns, corner in self._diagonal:
            rows = np.zeros((rank + len(self.below), corner.shape[1]))
            rows[columns] = corner
            rows[columns.stop : rank] = self.square[columns.stop :, columns]
            rows[rank:] = self.below[:, columns]
            rows = between(rows)
            for part, own in self._diagonal:
                if part.start > columns.start:
                    break
                block = own.T @ rows[part] + self.square[part.stop :, part].T @ rows[part.stop : rank]
                yield part, columns, block + self.below[:, part].T @ rows[rank:]

    def restored(self) -> np.ndarray:
        """The square, with L in its lower triangle again."""
        for part, corner in self._diagonal:
            self.square[part, part] = corner
        return self.square


def laplacian(groups: np.ndarray, of_probe: np.ndarray) -> tuple[Laplacian, int]:
    """S with x' S x = the sum of (x_i - x_j)^2 over all pairs of a gallery and a probe row of one group, as a product
    with columns (n, k), and how many pairs there are.

    groups: (n,) integers from 0.  of_probe: (n,) bool.
    """
    members = [
        csr_array((np.ones(side.sum()), (groups[side], np.flatnonzero(side))), shape=(groups.max() + 1, len(groups)))
        for side in (~of_probe, of_probe)
    ]
    gallery, probe = members
    counts = [matrix.sum(axis=1) for matrix in members]
    degree = np.where(of_probe, counts[0][groups], counts[1][groups])[:, None]

    def product(rows: np.ndarray) -> np.ndarray:
        return degree * rows - gallery.T @ (probe @ rows) - probe.T @ (gallery @ rows)

    return product, int(counts[0] @ counts[1])


def times_transposed(matrix: np.ndarray) -> np.ndarray:
    """The lower triangle, by blocks, of matrix @ matrix.T, in the place of the matrix."""
    strips = [matrix[part] @ matrix[: part.stop].T for part in blocks(len(matrix))]
    for part in blocks(len(matrix)):
        matrix[part, : part.stop] = strips[part.start // BLOCK]
    return matrix


def eigenvectors_above_one(matrix: np.ndarray) -> np.ndarray:
    """(n, k) eigenvectors of a symmetric matrix with an eigenvalue above 1, that of the largest where none is.

    matrix: in Fortran order; its lower triangle is read, all of it is overwritten.
    """
    n = len(matrix)
    if n == 1:
        return np.ones((1, 1))
    reflections, diagonal, beside, scale, _ = lapack.dsytrd(matrix, lower=1, lwork=64 * n, overwrite_a=1)
    most = np.abs(diagonal).max() + 2 * np.abs(beside).max() + 1
    _, vectors = eigh_tridiagonal(diagonal, beside, select="v", select_range=(1, most + 1), lapack_driver="stebz")
    if not vectors.shape[1]:
        _, vectors = eigh_tridiagonal(diagonal, beside, select="i", select_range=(n - 1, n - 1), lapack_driver="stebz")
    turned, _, _ = lapack.dormqr(
        "L", "N", packed(reflections, slice(1, n), n - 1), scale, np.asfortranarray(vectors[1:]), 64 * n
    )
    return np.asfortranarray(np.concatenate([vectors[:1], turned]))


def packed(matrix: np.ndarray, rows: slice, columns: int) -> np.ndarray:
    """Some rows of the first columns of a matrix in Fortran order, moved to the front of its memory."""
    height = rows.stop - rows.start
    if height == len(matrix):
        return matrix[:, :columns]
    flat = matrix.reshape(-1, order="F")
    for column in range(columns):
        flat[column * height : (column + 1) * height] = matrix[rows, column].copy()
    return flat[: height * columns].reshape((height, columns), order="F")


def blocks(n: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
