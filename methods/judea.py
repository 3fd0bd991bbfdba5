from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from scipy.linalg import block_diag, cholesky, eigh, solve_triangular

from bench.errors import BenchError
from bench.plugin.base import Train
from methods._distances import euclidean
from methods._gram import principal_coordinates
from methods._on_lomo import OnLOMO
from methods._scales import AtScale
from methods._selection import best_of

if TYPE_CHECKING:
    from bench.protocol.extractors import Extractor
    from bench.protocol.images import Images

HCMD = (0.1, 1.0, 10.0)
RIDGE = (0.01, 0.1, 1.0)
KEPT = (1.0, 0.5)
SMALL = Fraction(1, 2)


@dataclass(kw_only=True, eq=False, repr=False)
class JUDEA(OnLOMO):
    """Joint multi-scale discriminant component analysis on LOMO at two scales (Li et al., ICCV 2015), re-derived.

    One generalised eigenproblem gives a projection for the normal scale and one for the small scale; the squared
    distances of the two are summed (`judea.md`).  ``"cv"``: chosen on held-out training people.

    hcmd: weight of the heterogeneous class mean discrepancy, 0 to leave it out; ``"cv"``: of 0.1, 1 and 10.
    ridge: added to the within-class scatter, in units of a scale's total variance divided by the number of training
    images; ``"cv"``: of 0.01, 0.1 and 1.
    kept: share of the discriminant components that are kept, in (0, 1]; ``"cv"``: of 1 and 0.5.
    small_scale: False to use the normal scale alone.
    """

    name = "judea"
    version = 1
    uses = ("distances", "gram", "lomo", "scales", "selection")
    scales = "own"
    anchored = False
    note = "re-derived: there is no public code; methods/judea.md says which parts are ours"

    hcmd: Literal["cv"] | Annotated[float, Ge(0)] = "cv"
    ridge: Literal["cv"] | Annotated[float, Gt(0)] = "cv"
    kept: Literal["cv"] | Annotated[float, Gt(0), Le(1)] = "cv"
    small_scale: bool = True

    def extractors(self) -> "list[Extractor]":
        small = [AtScale(self.lomo, SMALL, restored=False)] if self.small_scale else []
        return [self.lomo, *small]

    def fit(self, train: Train) -> "JUDEA":
        self.rows_ = train.gallery + train.probe
        grams = [self.rows_.gram(self.rows_, extractor) for extractor in self.extractors()]
        labels, split = self.rows_.identity, len(train.gallery)
        # With one scale there is nothing that its class means could differ from.
        hcmds = [0.0] if not self.small_scale else HCMD if self.hcmd == "cv" else [self.hcmd]
        ridges, shares = RIDGE if self.ridge == "cv" else [self.ridge], KEPT if self.kept == "cv" else [self.kept]

        def held_out(people: np.ndarray, others: np.ndarray) -> Iterator[np.ndarray]:
            rows, held = np.flatnonzero(np.isin(labels, people)), np.flatnonzero(np.isin(labels, others))
            parts = [gram[np.ix_(rows, rows)] for gram in grams]
            cross = [gram[np.ix_(held, rows)] for gram in grams]
            scatters = Scatters(parts, labels[rows])
            for hcmd, ridge in product(hcmds, ridges):
                coefs = scatters.solve(hcmd, ridge)
                for share in shares:
                    projected = project(cross, coefs, share)
                    yield euclidean(projected[held >= split], projected[held < split])

        grid = list(product(hcmds, ridges, shares))
        self.hcmd_, self.ridge_, self.kept_ = best_of(
            grid, train.probe.identity, train.gallery.identity, train.seed, held_out
        )
        self.coefs_ = fit_judea(grams, labels, self.hcmd_, self.ridge_)
        return self

    def embed(self, images: "Images", side: str) -> np.ndarray:
        grams = [images.gram(self.rows_, extractor) for extractor in self.extractors()]
        return project(grams, self.coefs_, self.kept_)

    def between(self, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        return euclidean(probe, gallery)


def fit_judea(grams: Sequence[np.ndarray], labels: np.ndarray, hcmd: float, ridge: float) -> list[np.ndarray]:
    """The projections of all scales, jointly: largest ratios of between-class scatter to within-class scatter and HCMD.

    grams: for each of one or two scales float64 (n, n), inner products of the training rows.  labels (n,): identities.

    Returns coef (n, r) for each scale, components by falling ratio: a row x of that scale is projected as
    k(x, training rows) @ coef, up to a shift that no distance sees.  r is at most scales * (classes - 1).

    Raises BenchError when the shapes do not fit, a value is not finite, there is only one identity, or the rows or the
    classes' means are all the same.
    """
    return Scatters(grams, labels).solve(hcmd, ridge)


class Scatters:
    """What `fit_judea` needs of the training rows, whatever the weight of HCMD and the ridge are."""

    def __init__(self, grams: Sequence[np.ndarray], labels: np.ndarray) -> None:
        labels = np.asarray(labels)
        if any(np.shape(gram) != (labels.size, labels.size) for gram in grams):
            raise BenchError(f"each Gram matrix must be {labels.size} x {labels.size}, one row per label")
        people, index = np.unique(labels, return_inverse=True)
        if people.size < 2:
            raise BenchError("all training images are of one identity: JUDEA needs at least two")
        share = np.bincount(index) / labels.size
        averaging = (index == np.arange(people.size)[:, None]) / np.bincount(index)[:, None]
        self.people = people.size
        self.within, self.units, self.means, self.coefs = [], [], [], []
        between = []
        for gram in grams:
            rows, coef, _ = principal_coordinates(gram)
            mean = averaging @ rows
            deviation = rows - mean[index]
            self.within.append(deviation.T @ deviation / labels.size)
            self.units.append(np.square(rows).sum() / labels.size**2)
            self.means.append(mean)
            self.coefs.append(coef)
            between.append(np.sqrt(share)[:, None] * mean)
        self.between = block_diag(*between).T

    def solve(self, hcmd: float, ridge: float) -> list[np.ndarray]:
        ridged = (w + ridge * unit * np.eye(len(w)) for w, unit in zip(self.within, self.units, strict=True))
        denominator = block_diag(*ridged)
        if hcmd and len(self.means) == 2:
            discrepancy = np.hstack([self.means[0], -self.means[1]])
            denominator += hcmd * discrepancy.T @ discrepancy / self.people

        # F'F w = lambda B w with B = L L' and F of few rows: eigenvectors of the small matrix F B^-1 F' give all w.
        factor = cholesky(denominator, lower=True, check_finite=False)
        whitened = solve_triangular(factor, self.between, lower=True, check_finite=False)
        values, vectors = eigh(whitened.T @ whitened, driver="evd", check_finite=False)
        kept = values > 1e-10 * values[-1]
        if not values[-1] > 0:
            raise BenchError("the class means of the training images are all the same: JUDEA needs them to differ")
        directions = whitened @ (vectors[:, kept] / np.sqrt(values[kept]))[:, ::-1]
        directions = solve_triangular(factor, directions, lower=True, trans="T", check_finite=False)
        ends = np.cumsum([coef.shape[1] for coef in self.coefs])[:-1]
        return [coef @ part for coef, part in zip(self.coefs, np.split(directions, ends), strict=True)]


def project(grams: Sequence[np.ndarray], coefs: Sequence[np.ndarray], kept: float) -> np.ndarray:
    """Rows of all scales side by side (m, scales * r'), r' a share `kept` of the components, at least one.

    Euclidean distances of these are the root of the scales' summed squared distances.
    """
    components = max(1, round(kept * coefs[0].shape[1]))
    return np.hstack([gram @ coef[:, :components] for gram, coef in zip(grams, coefs, strict=True)])
