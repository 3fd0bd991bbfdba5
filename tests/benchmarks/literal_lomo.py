"""LOMO read off its definition, one image and one block at a time: the oracle and the baseline of the timings.

Nothing here is tuned and nothing is shared with `methods`. Sources: Liao et al., CVPR 2015, and the release's LOMO.m
and SILTP.m; the Retinex is the public MSRCP formula (Petro, Sbert and Morel, IPOL 2014).
"""

import numpy as np
from scipy.ndimage import gaussian_filter

SCALES = 3
BLOCK, STEP = 10, 5
BINS = 8
TAU = 0.3
RADII = (3, 5)


def msrcp(image: np.ndarray) -> np.ndarray:
    """Multi-scale Retinex with chromaticity preservation: uint8 (h, w, 3) -> uint8 (h, w, 3)."""
    channels = image.astype(np.float64)
    intensity = channels.mean(axis=2) + 1
    retinex = np.mean(
        [
            np.log10(intensity) - np.log10(gaussian_filter(intensity, sigma, mode="mirror", truncate=4.0))
            for sigma in (5, 20)
        ],
        axis=0,
    )
    retinex = np.round(retinex, 12)  # below this all is rounding error, which would be stretched in a flat area
    low, high = np.quantile(retinex, [0.1, 0.9])
    if low == high:  # nothing to stretch
        return image
    stretched = (np.clip(retinex, low, high) - low) / (high - low) * 255
    brightest = np.maximum(channels.max(axis=2), 1)
    gain = np.minimum(256 / brightest, stretched / intensity)
    return np.floor(np.minimum(gain[:, :, None] * channels, 255)).astype(np.uint8)


def rgb_to_hsv(image: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3) -> float64 (h, w, 3): hue in turns, saturation, value, all in [0, 1]."""
    red, green, blue = (image[:, :, c].astype(np.float64) for c in range(3))
    value = image.max(axis=2).astype(np.float64)
    chroma = value - image.min(axis=2)
    safe = np.where(chroma == 0, 1, chroma)
    hue = np.select(
        [chroma == 0, value == blue, value == green, value == red],
        [0, 4 + (red - green) / safe, 2 + (blue - red) / safe, (green - blue) / safe],
    )
    hue = hue / 6
    hue[hue < 0] += 1
    saturation = chroma / np.where(value == 0, 1, value)
    return np.stack([hue, saturation, value / 255], axis=2)


def rgb_to_gray(image: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3) -> float64 (h, w) in [0, 1]: luma rounded to whole grey levels first."""
    red, green, blue = (image[:, :, c].astype(np.float64) for c in range(3))
    return np.floor(0.2989 * red + 0.5870 * green + 0.1140 * blue + 0.5) / 255


def mean_pool(plane: np.ndarray) -> np.ndarray:
    """2x2 means, (h, w) -> (h // 2, w // 2); each column of two is added first, which settles the rounding."""
    height, width = plane.shape
    plane = plane[: height - height % 2, : width - width % 2]
    return (plane[0::2, 0::2] + plane[1::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 1::2]) / 4


def siltp(gray: np.ndarray, radius: int) -> np.ndarray:
    """Scale-invariant local ternary pattern, 4 neighbours: (h, w) -> codes 0..80 (h, w)."""
    height, width = gray.shape
    padded = np.pad(gray, radius, mode="edge")
    centre = slice(radius, radius + height), slice(radius, radius + width)
    right = padded[centre[0], 2 * radius :]
    up = padded[:height, centre[1]]
    left = padded[centre[0], :width]
    down = padded[2 * radius :, centre[1]]
    code = np.zeros((height, width), dtype=np.int64)
    for weight, neighbour in zip((1, 3, 9, 27), (right, up, left, down), strict=True):
        code += weight * np.where(neighbour < (1 - TAU) * gray, 1, np.where(neighbour > (1 + TAU) * gray, 2, 0))
    return code


def pooled_histograms(codes: np.ndarray, bins: int) -> np.ndarray:
    """Per row band, the largest count of each bin over the band's blocks: (h, w) -> (bands * bins,)."""
    height, width = codes.shape
    bands = []
    for top in range(0, height - BLOCK + 1, STEP):
        counts = [
            np.bincount(codes[top : top + BLOCK, left : left + BLOCK].ravel(), minlength=bins)
            for left in range(0, width - BLOCK + 1, STEP)
        ]
        if counts:
            bands.append(np.max(counts, axis=0))
    return np.concatenate(bands) if bands else np.zeros(0)


def log_normalised(counts: list[np.ndarray]) -> np.ndarray:
    """log(1 + x) of the concatenated scales, divided by its Euclidean norm."""
    part = np.log1p(np.concatenate(counts))
    return part / np.linalg.norm(part) if part.size else part


def hsv_part(image: np.ndarray) -> np.ndarray:
    """Joint HSV histograms of uint8 (h, w, 3), a unit vector of 512 values per row band."""
    planes = [np.minimum(np.floor(BINS * plane), BINS - 1) for plane in np.moveaxis(rgb_to_hsv(image), 2, 0)]
    counts = []
    for _ in range(SCALES):
        hue, saturation, value = planes
        codes = (64 * value + 8 * saturation + hue).astype(np.int64)
        counts.append(pooled_histograms(codes, BINS**3))
        planes = [np.floor(mean_pool(plane)) for plane in planes]
    return log_normalised(counts)


def siltp_part(image: np.ndarray, radius: int) -> np.ndarray:
    """SILTP histograms of uint8 (h, w, 3), a unit vector of 81 values per row band."""
    gray = rgb_to_gray(image)
    counts = []
    for _ in range(SCALES):
        if gray.shape[1] >= 2 * radius + 1:
            counts.append(pooled_histograms(siltp(gray, radius), 81))
        gray = mean_pool(gray)
    return log_normalised(counts) if counts else np.zeros(0)


def lomo(image: np.ndarray, retinex: str = "msrcp") -> np.ndarray:
    """The descriptor of one image, uint8 (h, w, 3) -> float32 (d,)."""
    enhanced = msrcp(image) if retinex == "msrcp" else image
    parts = [hsv_part(enhanced), *(siltp_part(image, radius) for radius in RADII)]
    return np.concatenate(parts).astype(np.float32)
