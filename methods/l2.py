from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from methods._distances import euclidean
from methods._on_lomo import OnLOMO

if TYPE_CHECKING:
    from bench.protocol.images import Images


@dataclass(kw_only=True, eq=False, repr=False)
class L2(OnLOMO):
    """Euclidean distance of LOMO descriptors: the row that learns nothing, against which learning is measured."""

    name = "l2"
    version = 1
    uses = ("distances", "lomo")

    def embed(self, images: "Images", side: str) -> np.ndarray:
        return images.features(self.lomo).astype(np.float64)

    def between(self, probe: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        return euclidean(probe, gallery)
