from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.plugin.base import Method, Train
from methods._distances import euclidean
from methods._lomo import LOMO

if TYPE_CHECKING:
    from bench.protocol.images import Images


class L2(Method):
    """Euclidean distance of LOMO descriptors: the row that learns nothing, against which learning is measured.

    retinex: the variant of `LOMO`'s colour normalisation.
    """

    name = "l2"
    version = 1
    uses = ("distances", "lomo")

    def __init__(self, retinex: Literal["msrcp", "none"] = "msrcp"):
        self.retinex = retinex

    def extractors(self) -> list[LOMO]:
        return [LOMO(retinex=self.retinex)]

    def fit(self, train: Train) -> "L2":
        return self

    def distances(self, probe: "Images", gallery: "Images") -> np.ndarray:
        (lomo,) = self.extractors()
        return euclidean(probe.features(lomo).astype(np.float64), gallery.features(lomo).astype(np.float64))
