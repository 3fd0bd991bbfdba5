"""The one resize of the project, so that no result depends on a library's idea of bicubic.

Pillow's filters are anti-aliased when they shrink, with the cubic kernel a = -0.5: they agree with Matlab's imresize in
the interior and with torch's ``interpolate(antialias=True)``; OpenCV's do neither (docs: bench/README.md, Deviations).
"""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Literal

import numpy as np
from PIL import Image

PART = ("resize", 1)

Kind = Literal["bilinear", "bicubic"]
FILTERS: dict[Kind, Image.Resampling] = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def scaled_length(length: int, ratio: Fraction) -> int:
    """Pixels left of `length` pixels at `ratio`: max(1, floor(length * ratio + 1/2)), exactly."""
    return max(1, floor(length * ratio + Fraction(1, 2)))


def resize(image: np.ndarray, size: tuple[int, int], kind: Kind = "bicubic") -> np.ndarray:
    """Resize a uint8 RGB image (h, w, 3) to size (height, width), rounded and clamped to uint8.

    Across first, then down: Pillow rounds between the two, and which comes first differs between its versions (up to
    8 grey levels where the filter overshoots).
    """
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    across = Image.fromarray(image).resize((width, image.shape[0]), FILTERS[kind])
    return np.asarray(across.resize((width, height), FILTERS[kind]))


def resize_all(images: Sequence[np.ndarray], size: tuple[int, int], kind: Kind = "bicubic") -> np.ndarray:
    """Resize n uint8 RGB images of any size to one array (n, height, width, 3)."""
    out = np.empty((len(images), *size, 3), np.uint8)
    for i, image in enumerate(images):
        out[i] = resize(image, size, kind)
    return out


def shrink(image: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Low-resolution simulation: the image at `ratio` of its native size by anti-aliased bicubic."""
    height, width = image.shape[:2]
    return resize(image, (scaled_length(height, ratio), scaled_length(width, ratio)))


def canary() -> str:
    """Digest of a fixed pattern brought to larger and smaller sizes by both filters.

    It moves where another Pillow resizes differently, and so where the numbers of full-resolution images may.
    """
    y, x = np.mgrid[:29, :17]
    pattern = np.stack([9 * y + x, 255 * ((x // 3 + y // 4) % 2), (y * y * x * 7) % 256], axis=2) % 256
    digest = hashlib.sha256()
    for kind in FILTERS:
        for size in ((58, 34), (31, 16), (10, 6), (7, 40), (64, 5)):
            digest.update(resize(pattern.astype(np.uint8), size, kind).tobytes())
    return digest.hexdigest()
