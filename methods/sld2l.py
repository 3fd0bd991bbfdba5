from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from annotated_types import Gt

from bench.errors import BenchError
from bench.plugin.base import Train
from bench.protocol.products import inner_products
from methods._dictionaries import Dictionaries, Terms, fit_clusters, restore
from methods._gram import Axes, Whitening, principal_coordinates
from methods._on_lomo import OnLOMO
from methods._scales import AtScale
from methods._selection import best_of

if TYPE_CHECKING:
    from bench.protocol.images import Images

SMOOTHING = (1.0, 5.0)
RATIOS = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 4))
BASIS_ROWS = 2_000


@dataclass(kw_only=True, eq=False, repr=False)
class SLD2L(Terms, OnLOMO):
    """Semi-coupled low-rank discriminant dictionary learning on LOMO (Jing et al., CVPR 2015), re-derived.

    A dictionary for each resolution and a mapping between their codes turn a low-resolution feature into a
    high-resolution one, which is compared with the gallery's by the cosine (`sld2l.md`).  ``"cv"``: chosen on held-out
    training people.

    clusters: sub-dictionaries, each with its own mapping; a probe takes the one that reconstructs it best.
    smoothing: added to the principal variances, in units of their mean, before features are whitened; ``"cv"``: 1 or 5.
    The others are those of `Terms`.
    """

    name = "sld2l"
    version = 1
    uses = ("dictionaries", "gram", "lomo", "scales", "selection")
    scales = "own"
    anchored = False
    note = "re-derived: there is no public code; methods/sld2l.md says which parts are ours"

    clusters: Annotated[int, Gt(0)] = 1
    smoothing: Literal["cv"] | Annotated[float, Gt(0)] = "cv"

    def fit(self, train: Train) -> "SLD2L":
        gallery, probe = train.gallery.identity, train.probe.identity
        if np.union1d(gallery, probe).size < 2:
            raise BenchError("all training images are of one identity: SLD2L needs at least two")
        # Inner products with the training rows (at most BASIS_ROWS of them) are all that is ever kept of the features.
        self.rows_ = spread(train.gallery, BASIS_ROWS // 2) + spread(train.probe, BASIS_ROWS // 2)
        gram = self.rows_.gram(self.rows_, self.lomo)
        high, genuine = train.gallery.gram(self.rows_, self.lomo), train.probe.gram(self.rows_, self.lomo)
        basis = self.rows_.features(self.lomo)
        copies = [inner_products(train.gallery.features(AtScale(self.lomo, m, restored=True)), basis) for m in RATIOS]
        grid = SMOOTHING if self.smoothing == "cv" else [self.smoothing]

        def rows_of(people: np.ndarray) -> np.ndarray:
            return np.flatnonzero(np.isin(self.rows_.identity, people))

        def axes_of(people: np.ndarray) -> Axes:
            rows = rows_of(people)
            return principal_coordinates(gram[np.ix_(rows, rows)])

        def learn(people: np.ndarray, smoothing: float, axes: Axes) -> tuple[Whitening, list[Dictionaries]]:
            g, p = np.isin(gallery, people), np.isin(probe, people)
            whitening = Whitening(axes, smoothing, rows_of(people))
            x, z = whitening(high[g]), whitening(genuine[p])
            y = np.concatenate([z, *(whitening(copy[g]) for copy in copies)])
            pair = np.concatenate([np.full(len(z), -1), np.tile(np.arange(len(x)), len(copies))])
            labels = np.concatenate([probe[p], np.tile(gallery[g], len(copies))])
            return whitening, fit_clusters(x, y, pair, gallery[g], labels, self, self.clusters)

        def held_out(people: np.ndarray, others: np.ndarray) -> Iterator[np.ndarray]:
            axes = axes_of(people)
            for smoothing in grid:
                whitening, found = learn(people, smoothing, axes)
                restored = restore(whitening(genuine[np.isin(probe, others)]), found, self)
                yield 1 - restored @ whitening(high[np.isin(gallery, others)]).T

        self.smoothing_ = best_of(grid, probe, gallery, train.seed, held_out, folds_held_out=1)
        everybody = np.union1d(gallery, probe)
        self.whitening_, self.dictionaries_ = learn(everybody, self.smoothing_, axes_of(everybody))
        return self

    def embed(self, images: "Images", side: str) -> np.ndarray:
        rows = self.whitening_(images.gram(self.rows_, self.lomo))
        return restore(rows, self.dictionaries_, self) if side == "probe" else rows

    def between(self, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        return 1 - probe @ gallery.T


def spread(images: "Images", count: int) -> "Images":
    """At most `count` images, evenly spread over the people; all of them where there are no more."""
    if len(images) <= count:
        return images
    order = np.argsort(images.identity, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, count).round().astype(int)]
    return images.select(chosen)
