from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge

from bench.plugin.base import Method

if TYPE_CHECKING:
    from bench.protocol.images import Images


class Nothing(Method):
    """Matches images by their size: what a cell of it takes is the harness's own.

    variant: a number that changes nothing, for rows beside each other.
    """

    name = "nothing"
    scales = "own"
    anchored = False

    def __init__(self, variant: Annotated[int, Ge(0)] = 0) -> None:
        self.variant = variant

    def distances(self, probe: "Images", gallery: "Images") -> np.ndarray:
        return np.abs(probe.area[:, None] - gallery.area)
