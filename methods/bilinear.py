from collections.abc import Sequence

import numpy as np

from bench.plugin.base import FrontEnd, Size
from bench.protocol.resize import resize_all


class Bilinear(FrontEnd):
    """Up-scaling by bilinear interpolation."""

    name = "bilinear"
    version = 1
    uses = ()

    def upscale(self, images: Sequence[np.ndarray], size: Size) -> np.ndarray:
        return resize_all(images, size, "bilinear")
