from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import eigh, lapack, solve_triangular

from bench.errors import BenchError
from bench.plugin.base import Train
from methods._distances import euclidean
from methods._on_lomo import OnLOMO

if TYPE_CHECKING:
    from bench.protocol.images import Images


@dataclass(kw_only=True, eq=False, repr=False)
class NFST(OnLOMO):
    """Null Foley-Sammon transform on LOMO features with an RBF kernel (Zhang et al., CVPR 2016).

    Both views' training images are projected to where all images of one person coincide.  No regularisation and no
    parameter: the kernel's width is set by the training images (NullSpace_ReID, demo.m).
    """

    name = "nfst"
    version = 1
    uses = ("distances", "lomo")

    def fit(self, train: Train) -> "NFST":
        if not np.isin(train.gallery.identity, train.probe.identity).any():
            raise BenchError("gallery and probe training images share no identity: NFST needs people seen by both")
        self.rows_ = train.gallery + train.probe
        gram = self.rows_.gram(self.rows_, self.lomo)
        self.sqnorm_ = gram.diagonal().copy()
        self.mu_ = bandwidth(gram)
        self.coef_ = fit_nfst(rbf(gram, self.sqnorm_, self.sqnorm_, self.mu_), self.rows_.identity)
        return self

    def embed(self, images: "Images", side: str) -> np.ndarray:
        sqnorm = images.gram(images, self.lomo).diagonal()
        return rbf(images.gram(self.rows_, self.lomo), sqnorm, self.sqnorm_, self.mu_) @ self.coef_

    def between(self, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        return euclidean(probe, gallery)


def fit_nfst(kernel: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Null space directions of kernel NFST (Zhang et al., CVPR 2016, section 3; NullSpace_ReID's DNS.m).

    kernel: float64 (N, N), symmetric positive semi-definite, of the training rows of both views; labels (N,):
    their identities, C different ones.

    Returns coef (N, C-1), whose columns sum to 0: a row t is projected as k(t, training rows) @ coef, and projections
    are compared by `euclidean`.  Defined up to a rotation of the columns, which changes no distance.  Where the rows
    span fewer than C-1 dimensions there are as many columns as dimensions.

    Raises BenchError when the shapes do not fit, a value is not finite, there is only one identity, or the rows are
    all the same.
    """
    kernel, labels = np.asarray(kernel, dtype=float), np.asarray(labels)
    if labels.ndim != 1 or kernel.shape != (labels.size, labels.size):
        raise BenchError(f"kernel must be {labels.size} x {labels.size}, one row per label, not {kernel.shape}")
    if not np.isfinite(kernel).all():
        raise BenchError("the kernel of the training images has values that are not finite")
    people = np.unique(labels)
    if people.size < 2:
        raise BenchError("all training images are of one identity: NFST needs at least two")
    belongs = (labels[:, None] == people).astype(float)

    factor, failed = lapack.dpotrf(kernel, lower=1)
    if failed or _least_eigenvalue(factor, kernel) < 1e-10:
        return _null_space_by_eigenvectors(kernel, belongs)
    # On a null direction all rows of one person take one value.  A kernel of full rank allows any values: coef =
    # K^-1 E b, with E the class indicators.  With K = L L' such a direction has the norm of L^-1 E b; and its
    # coefficients sum to 0, as those of centred rows do, where L^-1 E b is orthogonal to L^-1 1.  So: orthonormalise
    # L^-1 E, its first column being L^-1 1, and leave the first out.
    indicators = np.column_stack([np.ones(labels.size), belongs[:, 1:]])
    whitened = solve_triangular(factor, indicators, lower=True, check_finite=False)
    triangle = np.linalg.cholesky(whitened.T @ whitened)
    orthonormal = solve_triangular(triangle, whitened.T, lower=True, check_finite=False)
    return solve_triangular(factor, orthonormal[1:].T, lower=True, trans="T", check_finite=False)


def bandwidth(gram: np.ndarray) -> float:
    """RBF width mu of NullSpace_ReID's demo.m: mu^2 = half the mean squared distance over all N^2 training pairs.

    gram: float64 (N, N), inner products of the training rows.  Raises BenchError when the rows are all the same or
    a value is not finite.
    """
    square = gram.diagonal().mean() - gram.mean()
    rounding = len(gram) * np.finfo(float).eps * gram.diagonal().max()
    if not rounding < square < np.inf:
        raise BenchError(f"mean squared distance of the training rows is {2 * square:g}: it must be above 0 and finite")
    return float(np.sqrt(square))


def rbf(gram: np.ndarray, sqnorm_a: np.ndarray, sqnorm_b: np.ndarray, mu: float) -> np.ndarray:
    """exp(-|a - b|^2 / (2 mu^2)) in [0, 1], float64 (a, b), from inner products (a, b) and squared norms (a,), (b,)."""
    exponent = gram - sqnorm_a[:, None] / 2
    exponent -= sqnorm_b / 2
    exponent /= mu**2
    return np.exp(np.minimum(exponent, 0, out=exponent), out=exponent)


def _least_eigenvalue(factor: np.ndarray, kernel: np.ndarray) -> float:
    """Estimate of 1 / |K^-1|_1, which is a lower bound of K's (and centred K's) least eigenvalue."""
    norm = np.abs(kernel).sum(axis=0).max()
    reciprocal_condition, _ = lapack.dpocon(factor, norm, uplo="L")
    return reciprocal_condition * norm


def _null_space_by_eigenvectors(kernel: np.ndarray, belongs: np.ndarray) -> np.ndarray:
    """DNS.m step by step, for kernels that are not of full rank (a repeated image is enough)."""
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    values, vectors = eigh(centred, driver="evd", check_finite=False)
    kept = values > 1e-12
    if not kept.any():
        raise BenchError("the training images are all the same: NFST needs distinct features")
    basis = vectors[:, kept] / np.sqrt(values[kept])
    basis -= basis.mean(axis=0)

    to_basis = basis.T @ kernel
    deviations = to_basis - to_basis @ (belongs / belongs.sum(axis=0)) @ belongs.T
    _, null = eigh(deviations @ deviations.T, driver="evd", check_finite=False)
    return basis @ null[:, : belongs.shape[1] - 1]
