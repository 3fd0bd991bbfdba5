from collections.abc import Sequence

import numpy as np

from bench.plugin.base import FrontEnd, Size
from bench.protocol.resize import resize_all


class Bicubic(FrontEnd):
    """Up-scaling by bicubic interpolation (a = -0.5)."""

    name = "bicubic"
    version = 1
    uses = ()

    def upscale(self, images: Sequence[np.ndarray], size: Size) -> np.ndarray:
        return resize_all(images, size, "bicubic")
