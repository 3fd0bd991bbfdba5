from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Gt
from scipy.linalg import cho_factor, cho_solve, eigh, inv, lapack, solve_triangular, svd

from bench.errors import BenchError
from bench.plugin.base import Train
from methods._on_lomo import OnLOMO

if TYPE_CHECKING:
    from bench.protocol.images import Images


@dataclass(kw_only=True, eq=False, repr=False)
class XQDA(OnLOMO):
    """Cross-view quadratic discriminant analysis on LOMO features (Liao et al., CVPR 2015).

    solver: ``"svd"``: the directions of the authors' release (LOMO_XQDA, XQDA.m), left singular vectors of
    inCov^-1 exCov; ``"eigh"``: those of the paper, eigenvectors of exCov v = lambda inCov v.
    ridge: added to the diagonal of the intra-personal covariance; the release's value is 0.001.
    """

    name = "xqda"
    version = 1
    uses = ("lomo",)

    solver: Literal["svd", "eigh"] = "svd"
    ridge: Annotated[float, Gt(0)] = 1e-3

    def fit(self, train: Train) -> "XQDA":
        self.rows_ = train.gallery + train.probe
        gram = self.rows_.gram(self.rows_, self.lomo)
        labels = train.gallery.identity, train.probe.identity
        self.coef_, self.metric_ = fit_xqda(gram, *labels, self.ridge, self.solver)
        return self

    def embed(self, images: "Images", side: str) -> np.ndarray:
        return images.gram(self.rows_, self.lomo) @ self.coef_

    def between(self, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        return mahalanobis(probe, gallery, self.metric_)


def fit_xqda(
    gram: np.ndarray,
    gallery_labels: np.ndarray,
    probe_labels: np.ndarray,
    ridge: float = 1e-3,
    solver: Literal["svd", "eigh"] = "svd",
) -> tuple[np.ndarray, np.ndarray]:
    """XQDA from inner products alone (Liao et al., CVPR 2015, sections 4.2 and 4.3; steps as in LOMO_XQDA's XQDA.m).

    gram: float64 (n+m, n+m), inner products of the training rows, the n gallery rows first, then the m probe rows.
    Rows may be linearly dependent.  gallery_labels (n,), probe_labels (m,): identities.

    Returns coef (n+m, r) and metric M (r, r), symmetric and not necessarily positive: a row x is projected as
    k(x, training rows) @ coef, and projections are compared by `mahalanobis`.

    Raises BenchError when the shapes do not fit, a value is not finite, the views share no identity, there is only
    one identity, or the images of different people do not differ.
    """
    gallery_labels, probe_labels = np.asarray(gallery_labels), np.asarray(probe_labels)
    gram = _checked(np.asarray(gram, dtype=float), gallery_labels, probe_labels)
    if solver not in DIRECTIONS:
        raise BenchError(f"solver must be one of {', '.join(DIRECTIONS)}, not {solver!r}")

    rows, pivots = _coordinates(gram)
    intra, extra = _covariances(rows[: len(gallery_labels)], rows[len(gallery_labels) :], gallery_labels, probe_labels)
    if not extra.trace() > len(gram) * np.finfo(float).eps * gram.diagonal().max():
        raise BenchError("training images of different people have equal features: XQDA needs them to differ")
    intra.flat[:: len(intra) + 1] += ridge
    directions = DIRECTIONS[solver](intra, extra)

    metric = inv(directions.T @ (intra @ directions)) - inv(directions.T @ (extra @ directions))
    coef = np.zeros((len(rows), directions.shape[1]))
    coef[pivots] = solve_triangular(rows[pivots], directions, lower=True, trans="T", check_finite=False)
    return coef, metric


def mahalanobis(probe: np.ndarray, gallery: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """(p - g)' M (p - g) for all pairs: probe (a, r), gallery (b, r), symmetric metric (r, r) -> float64 (a, b).

    M may be indefinite, so distances may be negative (LOMO_XQDA, MahDist.m): only their order matters.
    """
    probe_m, gallery_m = probe @ metric, gallery @ metric
    own = np.einsum("ij,ij->i", probe_m, probe)[:, None] + np.einsum("ij,ij->i", gallery_m, gallery)
    return own - 2 * (probe_m @ gallery.T)


def _coordinates(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (n+m, rank) of the rows in an orthonormal basis of their span, which is all that XQDA depends on.

    Cholesky with pivoting: gram = rows @ rows.T, and rows[pivots] is lower triangular and well away from singular
    even where rows repeat or outnumber their dimensions.
    """
    factor, order, rank, _ = lapack.dpstrf(gram, lower=1)
    order -= 1
    rows = np.empty((len(gram), rank))
    rows[order] = np.tril(factor)[:, :rank]
    return rows, order[:rank]


def _covariances(
    gallery: np.ndarray, probe: np.ndarray, gallery_labels: np.ndarray, probe_labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of the differences x - z between the views: within the same identity, and between identities."""
    same = [
        _differences(gallery[gallery_labels == k], probe[probe_labels == k])
        for k in np.intersect1d(gallery_labels, probe_labels)
    ]
    intra, total = (d.T @ d for d in (np.concatenate(same), _differences(gallery, probe)))
    n_intra = np.count_nonzero(gallery_labels[:, None] == probe_labels)
    n_extra = gallery_labels.size * probe_labels.size - n_intra
    return intra / n_intra, (total - intra) / n_extra


def _differences(gallery: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """Rows D with D'D = sum of (x - z)(x - z)' over all n m pairs, in no more than n + m + 1 rows.

    About the means, sum = m sum (x - mx)(x - mx)' + n sum (z - mz)(z - mz)' + n m (mx - mz)(mx - mz)'.
    """
    n, m = len(gallery), len(probe)
    if min(n, m) == 1:
        return gallery - probe
    gallery_mean, probe_mean = gallery.mean(axis=0), probe.mean(axis=0)
    return np.concatenate(
        [
            np.sqrt(m) * (gallery - gallery_mean),
            np.sqrt(n) * (probe - probe_mean),
            np.sqrt(n * m) * (gallery_mean - probe_mean)[None],
        ]
    )


def _left_singular_vectors(intra: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Left singular vectors of intra^-1 extra with a singular value above 1; the first one where none is."""
    product = cho_solve(cho_factor(intra, lower=True, check_finite=False), extra, check_finite=False)
    squares, vectors = eigh(product @ product.T, driver="evd", check_finite=False)
    kept = _count_above_one(squares)
    # Only the span of the kept vectors matters.  Squaring halves the work, and its rounding error is
    # harmless as long as it is far below the gap between the kept and the other values.
    gap = squares[-kept] - squares[-kept - 1] if kept < len(squares) else np.inf
    if np.finfo(float).eps * squares[-1] < 1e-11 * gap:
        return vectors[:, -kept:]
    vectors, values, _ = svd(product, check_finite=False)
    return vectors[:, : _count_above_one(values)]


def _generalised_eigenvectors(intra: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Solutions v of extra v = lambda intra v with lambda above 1; that of the largest lambda where none is."""
    values, vectors = eigh(extra, intra, driver="gvd", check_finite=False)
    return vectors[:, -_count_above_one(values) :]


DIRECTIONS = {"svd": _left_singular_vectors, "eigh": _generalised_eigenvectors}


def _count_above_one(values: np.ndarray) -> int:
    return max(1, int(np.count_nonzero(values > 1)))


def _checked(gram: np.ndarray, gallery_labels: np.ndarray, probe_labels: np.ndarray) -> np.ndarray:
    rows = gallery_labels.size + probe_labels.size
    if gram.shape != (rows, rows):
        raise BenchError(f"gram must be {rows} x {rows}, one row per gallery and probe label, not {gram.shape}")
    if not np.isfinite(gram).all():
        raise BenchError("the Gram matrix of the training images has values that are not finite")
    if not np.isin(gallery_labels, probe_labels).any():
        raise BenchError("gallery and probe training images share no identity: XQDA needs people seen by both views")
    if np.union1d(gallery_labels, probe_labels).size == 1:
        raise BenchError("all training images are of one identity: XQDA needs at least two")
    return gram
