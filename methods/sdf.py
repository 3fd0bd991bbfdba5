from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.errors import BenchError
from bench.plugin.base import Train
from methods._gram import Whitening, principal_coordinates
from methods._lomo import HSV_BINS, RADII, SILTP_BINS
from methods._on_lomo import OnLOMO
from methods._scales import AtScale
from methods._selection import best_of

if TYPE_CHECKING:
    from bench.protocol.extractors import Extractor
    from bench.protocol.images import Images

DEGREES = (1, 2)
PENALTIES = (0.01, 0.1)
SMOOTHING = 3.0
RATIOS = (Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(1, 4))


@dataclass(kw_only=True, eq=False, repr=False)
class SDF(OnLOMO):
    """Scale-distance functions separated by a discriminating surface (Wang et al., IJCAI 2016), re-derived.

    The high-resolution image is rendered at the scales 1, 1/2, 1/3 and 1/4; a pair's squared distances, for each part
    of LOMO and for LOMO whitened, are polynomials of the scale, whose coefficients a plane separates into same and
    different person; how far a pair lies on the other side is its distance (`sdf.md`).

    ``"cv"``: chosen on held-out training people.

    degree: of the polynomials, 0 to 3; ``"cv"``: 1 or 2.
    C: inverse strength of the logistic regression's penalty; ``"cv"``: 0.01 or 0.1.
    curve: False to look at scale 1 alone.
    """

    name = "sdf"
    version = 1
    uses = ("gram", "lomo", "scales", "selection")
    scales = "own"
    anchored = False
    note = "re-derived: there is no public code; methods/sdf.md says which parts are ours"

    degree: Literal["cv"] | Annotated[int, Ge(0), Le(3)] = "cv"
    C: Literal["cv"] | Annotated[float, Gt(0)] = "cv"
    curve: bool = True

    def extractors(self) -> "list[Extractor]":
        return [self.lomo, *(AtScale(self.lomo, ratio, restored=True) for ratio in RATIOS[1:] if self.curve)]

    def fit(self, train: Train) -> "SDF":
        probe, gallery = train.probe.identity, train.gallery.identity
        if not np.isin(gallery, probe).any():
            raise BenchError("gallery and probe training images share no identity: SDF needs people seen by both")
        if np.union1d(gallery, probe).size < 2:
            raise BenchError("all training images are of one identity: SDF needs at least two")
        degrees = [0] if not self.curve else DEGREES if self.degree == "cv" else [self.degree]
        grid = list(product(degrees, PENALTIES if self.C == "cv" else [self.C]))
        self.rows_ = train.gallery + train.probe
        self.reference_ = train.probe
        gram = self.rows_.gram(self.rows_, self.lomo)
        parts = self._offsets(train.probe, train.gallery)
        inner = self._inner_products(train.gallery)

        def offsets(people: np.ndarray) -> tuple[np.ndarray, Whitening]:
            """Of all training pairs; `people` alone decide the whitening."""
            rows = np.flatnonzero(np.isin(self.rows_.identity, people))
            whitening = Whitening(principal_coordinates(gram[np.ix_(rows, rows)]), SMOOTHING, rows)
            whitened = whitened_offsets(whitening(gram[len(gallery) :]), [whitening(k) for k in inner])
            return np.concatenate([parts, whitened], axis=2), whitening

        def held_out(people: np.ndarray, others: np.ndarray) -> Iterator[np.ndarray]:
            pairs, _ = offsets(people)
            p, g = np.isin(probe, people), np.isin(gallery, people)
            held_p, held_g = np.isin(probe, others), np.isin(gallery, others)
            own = relative_curves(pairs[p][:, g], pairs[p][:, g])
            new = relative_curves(pairs[held_p][:, held_g], pairs[p][:, held_g])
            same = probe[p][:, None] == gallery[g]
            for degree, c in grid:
                yield signed_distances(fit_surface(coefficients(own, degree), same, c), coefficients(new, degree))

        self.degree_, self.C_ = best_of(grid, probe, gallery, train.seed, held_out)
        pairs, self.whitening_ = offsets(np.union1d(gallery, probe))
        curves = coefficients(relative_curves(pairs, pairs), self.degree_)
        self.surface_ = fit_surface(curves, probe[:, None] == gallery, self.C_)
        return self

    def distances(self, probe: "Images", gallery: "Images") -> np.ndarray:
        renderings = [self.whitening_(k) for k in self._inner_products(gallery)]
        pairs, reference = (
            np.concatenate(
                [
                    self._offsets(images, gallery),
                    whitened_offsets(self.whitening_(images.gram(self.rows_, self.lomo)), renderings),
                ],
                axis=2,
            )
            for images in (probe, self.reference_)
        )
        return signed_distances(self.surface_, coefficients(relative_curves(pairs, reference), self.degree_))

    def _offsets(self, probe: "Images", gallery: "Images") -> np.ndarray:
        """Squared distances to every rendering, without its own norm: (P, G, parts, scales)."""
        parts = part_by_part(probe.features(self.lomo))
        out = np.empty((len(probe), len(gallery), len(parts), len(self.extractors())))
        for scale, extractor in enumerate(self.extractors()):
            for i, (a, b) in enumerate(zip(parts, part_by_part(gallery.features(extractor)), strict=True)):
                out[:, :, i, scale] = squared_norms(a)[:, None] - 2 * (a @ b.T)
        return out

    def _inner_products(self, gallery: "Images") -> list[np.ndarray]:
        """Of every rendering with the training rows, (G, rows) for each scale."""
        rows = self.rows_.features(self.lomo).T
        return [gallery.features(extractor) @ rows for extractor in self.extractors()]


def whitened_offsets(probe: np.ndarray, renderings: list[np.ndarray]) -> np.ndarray:
    """As `SDF._offsets`, of unit rows (P, r) and (G, r) for each scale: (P, G, 1, scales), up to a constant."""
    return np.stack([-2 * (probe @ rendering.T) for rendering in renderings], axis=-1)[:, :, None]


def part_by_part(features: np.ndarray) -> list[np.ndarray]:
    """LOMO descriptors (n, d): HSV, then SILTP of each radius; from images wide enough for both."""
    bands = features.shape[1] // (HSV_BINS + len(RADII) * SILTP_BINS)
    return np.split(features, [HSV_BINS * bands, (HSV_BINS + SILTP_BINS) * bands], axis=1)


def squared_norms(rows: np.ndarray) -> np.ndarray:
    """(n,)."""
    return np.einsum("ij,ij->i", rows, rows)


def relative_curves(offsets: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Squared distances in units of how those of training probes to the same rendering spread, from their mean.

    offsets (P, G, parts, scales): of the pairs; reference (R, G, parts, scales): of the training probes.  What both are
    short of, the rendering's own squared norm, drops out.
    """
    spread = reference.std(axis=0)
    return (offsets - reference.mean(axis=0)) / np.where(spread > 0, spread, 1)


def coefficients(curves: np.ndarray, degree: int) -> np.ndarray:
    """Least-squares polynomials of the scale, (P, G, parts, scales) -> (P, G, parts * (degree + 1))."""
    scales = np.array([float(ratio) for ratio in RATIOS[: curves.shape[-1]]])
    solve = np.linalg.pinv(np.vander(scales, degree + 1, increasing=True))
    return (curves @ solve.T).reshape(*curves.shape[:2], -1)


def fit_surface(coefficients: np.ndarray, same: np.ndarray, c: float) -> Pipeline:
    """The plane between the coefficients (P, G, k) of same-person pairs, `same` (P, G) bool, and of the others."""
    surface = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
    return surface.fit(coefficients.reshape(-1, coefficients.shape[-1]), same.ravel())


def signed_distances(surface: Pipeline, coefficients: np.ndarray) -> np.ndarray:
    """How far on the side of different persons, (P, G, k) -> (P, G); negative for the same person."""
    return -surface.decision_function(coefficients.reshape(-1, coefficients.shape[-1])).reshape(coefficients.shape[:2])
