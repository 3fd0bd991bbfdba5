"""Descriptors of images at another scale: what methods that deal with resolution themselves share."""

from fractions import Fraction

import numpy as np
from sklearn.base import BaseEstimator

from bench.protocol.extractors import Extractor
from bench.protocol.resize import resize_all, scaled_length

PART = ("scales", 1)


class AtScale(BaseEstimator):
    """A descriptor of every image shrunk by a ratio, as the low-resolution simulation shrinks.

    extractor: the descriptor, called with uint8 (n, h, w, 3).  ratio: in (0, 1].  restored: True for the shrunk image
    up-scaled to its old size again (bicubic), which leaves the descriptor's length as it is; False for the small image
    itself.
    """

    version = PART[1]

    def __init__(self, extractor: Extractor, ratio: Fraction, restored: bool):
        self.extractor = extractor
        self.ratio = ratio
        self.restored = restored

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, 3) -> float32 (n, d); raises what the descriptor raises."""
        height, width = images.shape[1:3]
        small = resize_all(images, (scaled_length(height, self.ratio), scaled_length(width, self.ratio)))
        return self.extractor(resize_all(small, (height, width)) if self.restored else small)
