"""LOMO, the local maximal occurrence descriptor (Liao, Hu, Zhu and Li, CVPR 2015).

Defaults and order of operations are those of the release (`ShengcaiLiao/LOMO_XQDA`: LOMO.m, SILTP.m). The release's
Retinex is a closed binary; `msrcp` is the public formula that comes closest to it (Petro, Sbert and Morel, IPOL 2014).
Arrays of images are uint8 (n, h, w, 3) RGB throughout. Whatever decides a code is computed exactly or in float64.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from sklearn.base import BaseEstimator

from bench.errors import BenchError, UsageError

PART = ("lomo", 1)

SCALES = 3
BLOCK = 10  # pixels
STEP = 5  # pixels; half a block, so that a block is two by two cells of STEP x STEP pixels
HSV_LEVELS = 8  # per channel
TAU = 0.3
RADII = (3, 5)  # pixels
SIGMAS = (5.0, 20.0)  # pixels
QUANTILES = (0.1, 0.9)
HSV_BINS = HSV_LEVELS**3
SILTP_BINS = 3**4

_CHUNK_PIXELS = 200_000  # worked on at a time, 32 images of 128x48: spreads the cost of a call over many images
_LOG_COUNT = np.log1p(np.arange(BLOCK * BLOCK + 1.0))
_LOG_INTENSITY = np.log10(np.arange(3 * 255 + 1) / 3 + 1)  # by R + G + B
_LARGEST_GAIN = 256 / np.maximum(np.arange(256), 1)  # by max(R, G, B)
_GREY = np.arange(256) / 255
# By grey level I: the levels n with n/255 < (1 - tau) I/255 are those below, with n/255 > (1 + tau) I/255 those above.
_SILTP_BELOW = np.searchsorted(_GREY, (1 - TAU) * _GREY, side="left").astype(np.uint8)
_SILTP_ABOVE = (np.searchsorted(_GREY, (1 + TAU) * _GREY, side="right") - 1).astype(np.uint8)


class LOMO(BaseEstimator):
    """Images to LOMO descriptors: HSV and SILTP histograms, each bin's largest count along every row band.

    Parameters
    ----------
    retinex : {"msrcp", "none"}
        What HSV is read from: the image after `msrcp`, or the image itself. SILTP always reads the image itself.
    """

    version = PART[1]

    def __init__(self, retinex: Literal["msrcp", "none"] = "msrcp"):
        self.retinex = retinex

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The descriptors of images of one size.

        Parameters
        ----------
        images : uint8 (n, h, w, 3), RGB, h and w at least 10 pixels.

        Returns
        -------
        float32 (n, d): `[HSV ; SILTP R=3 ; SILTP R=5]`, each a unit vector with values in [0, 1]; d = 26,960 at 128x48.
        An image's row is the same, bit for bit, in whatever batch it comes.

        Raises
        ------
        BenchError
            If the array is not such images.
        UsageError
            If `retinex` is unknown; a kind of BenchError.
        """
        if self.retinex not in ("msrcp", "none"):
            raise UsageError(
                "The 'retinex' parameter of LOMO must be a str among {'msrcp', 'none'}. "
                f"Got {self.retinex!r} instead."
            )
        _check(images)
        descriptors = np.zeros((len(images), dimension(*images.shape[1:3])), dtype=np.float32)
        step = max(1, _CHUNK_PIXELS // (images.shape[1] * images.shape[2]))
        for start in range(0, len(images), step):
            chunk = np.moveaxis(_planes(images[start : start + step]), 0, -1)
            parts = _counts(chunk, msrcp(chunk) if self.retinex == "msrcp" else chunk)
            _log_normalise(parts, out=descriptors[start : start + step])
        return descriptors


def dimension(height: int, width: int) -> int:
    """Length of the descriptor of a `height` x `width` image: (512 + 2 * 81) * row bands, summed over the scales.

    A scale too small for a block has no bands; SILTP of radius R is left out where the scale's width is below 2 R + 1.
    """
    length = 0
    for scale in range(SCALES):
        bands = _blocks(height >> scale) if _blocks(width >> scale) else 0
        radii = sum(width >> scale >= 2 * radius + 1 for radius in RADII)
        length += bands * (HSV_BINS + radii * SILTP_BINS)
    return length


def msrcp(images: np.ndarray) -> np.ndarray:
    """Multi-scale Retinex with chromaticity preservation, uint8 (n, h, w, 3) to the same.

    The intensity I = mean(R, G, B) + 1 is divided by its Gaussian surrounds (sigma 5 and 20, mirrored borders) in the
    log domain; the mean over the two is clipped to its 10 % and 90 % quantiles and stretched to 0..255; every channel
    is then multiplied by what that did to the intensity, at most by 256 / max(R, G, B), and floored.
    An image whose two quantiles are equal has nothing to stretch and stays as it is.
    """
    channels = _planes(images)
    total = channels.sum(axis=0, dtype=np.uint16)
    intensity = total / 3 + 1
    # log10 is monotone and additive: half the log of the product is the mean of the two logs.
    surround = _blur(intensity, SIGMAS[0])
    surround *= _blur(intensity, SIGMAS[1])
    # Rounding to 12 decimals makes flat areas exactly 0: a stretch would enlarge the blur's rounding errors.
    retinex = np.log(surround, out=surround)
    retinex *= -0.5 / np.log(10)
    retinex += _LOG_INTENSITY.take(total)
    retinex *= 1e12
    np.rint(retinex, out=retinex)
    low, high = _quantiles(retinex)
    flat = low == high
    np.clip(retinex, low, high, out=retinex)
    retinex -= low
    retinex /= np.where(flat, 1, high - low)
    retinex *= 255
    gain = np.divide(retinex, intensity, out=retinex)
    np.minimum(gain, _LARGEST_GAIN.take(channels.max(axis=0)), out=gain)
    gain[flat[:, 0, 0]] = 1
    enhanced = np.empty_like(channels)
    for channel, target in zip(channels, enhanced, strict=True):
        np.minimum(gain * channel, 255, out=target, casting="unsafe")
    return np.moveaxis(enhanced, 0, -1)


def hsv_codes(images: np.ndarray) -> np.ndarray:
    """Joint code 64 V + 8 S + H in 0..511 of every pixel, uint8 (n, h, w, 3) to uint16 (n, h, w).

    Each of H (in turns), S and V = max(R, G, B) is quantised to min(floor(8 x), 7).
    """
    red, green, blue = np.moveaxis(images, -1, 0)
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    is_green, is_blue = largest == green, largest == blue
    red, green, blue = np.moveaxis(images, -1, 0).astype(np.int16)
    sector, difference = is_green.astype(np.int32), green - blue
    np.copyto(difference, blue - red, where=is_green)
    np.copyto(sector, 2, where=is_blue)
    np.copyto(difference, red - green, where=is_blue)
    # Flat indices into the tables: one gather is several times faster with these than with a tuple of indices.
    hue_index = ((sector << 8) + (largest - smallest) << 9) + (difference + 256)
    value_index = (largest.astype(np.uint16) << 8) + smallest
    hue, saturation_value = _hsv_tables()
    return saturation_value.take(value_index) + hue.take(hue_index)


def pool_hsv_codes(codes: np.ndarray) -> np.ndarray:
    """Codes at half the scale: the floored 2x2 mean of H, of S and of V; (n, h, w) to (n, h // 2, w // 2), uint16."""
    # The three 3-bit fields are moved 5 bits apart, room enough for the sum of four: one addition serves all three.
    spread = (codes & 0o7) | (codes & 0o70) << 2 | (codes & 0o700) << 4
    total = _sum_of_four(spread) >> 2
    return (total & 0o7) | total >> 2 & 0o70 | total >> 4 & 0o700


def grey_levels(images: np.ndarray) -> np.ndarray:
    """Luma .2989 R + .5870 G + .1140 B rounded to whole grey levels, uint8 (n, h, w, 3) to uint8 (n, h, w)."""
    red, green, blue = np.moveaxis(images, -1, 0)
    luma = 0.2989 * red
    luma += 0.5870 * green
    luma += 0.1140 * blue
    luma += 0.5
    return luma.astype(np.uint8)


def siltp_codes(grey: np.ndarray, radii: Sequence[int] = RADII) -> np.ndarray:
    """Scale-invariant local ternary patterns, codes 0..80 as uint8 (radii, n, h, w).

    Each of the neighbours at R pixels (right, up, left, down, of weights 1, 3, 9, 27; borders replicated) counts
    1 below (1 - tau) times the centre, 2 above (1 + tau) times the centre, else 0.

    Parameters
    ----------
    grey : (n, h, w), grey levels as uint8 or, pooled, in [0, 1] as float64.
    """
    border = max(radii)
    padded = _replicate_borders(grey, border)
    if grey.dtype == np.uint8:
        below, above = _SILTP_BELOW.take(padded), _SILTP_ABOVE.take(padded)
    else:
        below, above = (1 - TAU) * padded, (1 + TAU) * padded
    # In the flattened padded array a neighbour is a fixed offset away; what that yields in the border is cropped.
    row = padded.shape[2]
    inner = slice(border * row, padded.size - border * row)
    flat, below, above = padded.ravel(), below.ravel()[inner], above.ravel()[inner]
    codes = np.zeros((len(radii), *padded.shape), dtype=np.uint8)
    for radius, code in zip(radii, codes.reshape(len(radii), -1)[:, inner], strict=True):
        for offset in (radius * row, -radius, -radius * row, radius):  # down, left, up, right
            neighbour = flat[inner.start + offset : inner.stop + offset]
            brighter = (neighbour > above).view(np.uint8)
            code *= 3
            code += (neighbour < below).view(np.uint8)
            code += brighter
            code += brighter
    return codes[:, :, border:-border, border:-border]


def block_maxima(codes: np.ndarray, bins: int) -> np.ndarray:
    """Largest count of each code over the blocks of every row band, (n, h, w) to uint8 (n, bands, bins).

    Blocks are 10x10 pixels, 5 apart in both directions from the top left corner, none reaching over the border.
    """
    n, rows, columns = len(codes), _blocks(codes.shape[1]), _blocks(codes.shape[2])
    if not rows or not columns:
        return np.zeros((n, 0, bins), dtype=np.uint8)
    first_bin = _first_bins(n, rows + 1, columns + 1, bins)
    index = first_bin + codes[:, : first_bin.shape[1], : first_bin.shape[2]]
    cells = np.zeros((n, columns + 1, rows + 1, bins), dtype=np.uint8)
    np.add.at(cells.reshape(-1), index.reshape(-1), np.ones(index.size, dtype=np.uint8))
    blocks = cells[:, :, :-1] + cells[:, :, 1:]
    blocks = blocks[:, :-1] + blocks[:, 1:]
    return blocks.max(axis=1)


@lru_cache(maxsize=1)
def _hsv_tables() -> tuple[np.ndarray, np.ndarray]:
    """H, flattened from [sector, max - min, difference + 256], and 64 V + 8 S, flattened from [max, min].

    Sector 0, 1, 2: the largest channel is red, green, blue; difference: the next channel minus the one after that.
    """
    sector, chroma, difference = np.ogrid[:3, :256, -256:256]
    turns = (2 * sector + difference / np.maximum(chroma, 1)) / 6
    hue = np.where(chroma > 0, _quantise(np.where(turns < 0, turns + 1, turns)), 0)
    largest, smallest = np.ogrid[:256, :256]
    saturation = (largest - smallest) / np.maximum(largest, 1)
    saturation_value = HSV_LEVELS * (HSV_LEVELS * _quantise(largest / 255) + _quantise(saturation))
    return hue.astype(np.uint8).ravel(), saturation_value.astype(np.uint16).ravel()


def _quantise(x: np.ndarray) -> np.ndarray:
    return np.minimum(np.floor(HSV_LEVELS * x), HSV_LEVELS - 1)


def _check(images: np.ndarray) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        got = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise BenchError(f"LOMO takes RGB images as a uint8 array (n, h, w, 3). Got {got} instead.")
    height, width = images.shape[1:3]
    if min(height, width) < BLOCK:
        raise BenchError(f"LOMO needs images of at least {BLOCK}x{BLOCK} pixels. Got {height} rows of {width} pixels.")


def _counts(images: np.ndarray, colours: np.ndarray) -> list[np.ndarray]:
    """The three parts before their logarithm, uint8 (n, bands x bins): HSV of `colours`, then SILTP of `images`."""
    hsv, scales = hsv_codes(colours), []
    for scale in range(SCALES):
        hsv = pool_hsv_codes(hsv) if scale else hsv
        scales.append(block_maxima(hsv, HSV_BINS))
    grey = grey_levels(images)
    patterns: dict[int, list[np.ndarray]] = {}
    for plane in (grey, half := _mean_of_four(grey / 255), _mean_of_four(half)):
        if radii := [radius for radius in RADII if plane.shape[2] >= 2 * radius + 1]:
            for radius, codes in zip(radii, siltp_codes(plane, radii), strict=True):
                patterns.setdefault(radius, []).append(block_maxima(codes, SILTP_BINS))
    return [_side_by_side(scales), *(_side_by_side(patterns[radius]) for radius in RADII if radius in patterns)]


def _side_by_side(scales: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([counts.reshape(len(counts), counts.shape[1] * counts.shape[2]) for counts in scales], axis=1)


def _log_normalise(parts: list[np.ndarray], out: np.ndarray) -> None:
    """log(1 + x) of counts x, each part of each row divided by its Euclidean norm; fills what is not 0 of `out`."""
    counts = np.concatenate(parts, axis=1)
    part_ends = np.add.outer(np.arange(len(counts)) * counts.shape[1], np.cumsum([part.shape[1] for part in parts]))
    filled = np.flatnonzero(counts != 0)
    logs = _LOG_COUNT.take(counts.ravel().take(filled))
    ends = np.searchsorted(filled, part_ends.ravel())
    starts = np.concatenate([[0], ends[:-1]])
    norms = np.sqrt(np.add.reduceat(logs * logs, starts))
    out.reshape(-1)[filled] = logs / norms.repeat(ends - starts)


def _planes(images: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) as three contiguous planes (3, n, h, w)."""
    return np.ascontiguousarray(np.moveaxis(images, -1, 0))


def _blocks(length: int) -> int:
    """How many blocks fit along `length` pixels."""
    return max(0, (length - BLOCK) // STEP + 1)


@lru_cache(maxsize=32)
def _first_bins(n: int, rows: int, columns: int, bins: int) -> np.ndarray:
    """For each pixel, where its cell's histogram begins in an array (n, columns, rows, bins), flattened."""
    cell = np.arange(n * columns * rows).reshape(n, columns, rows).swapaxes(1, 2) * bins
    return cell.repeat(STEP, axis=1).repeat(STEP, axis=2).astype(np.intp)


def _sum_of_four(planes: np.ndarray) -> np.ndarray:
    """Sums over 2x2 pixels, an odd last row or column dropped; column by column, which settles how floats round."""
    planes = planes[:, : planes.shape[1] // 2 * 2, : planes.shape[2] // 2 * 2]
    total = planes[:, 0::2, 0::2] + planes[:, 1::2, 0::2]
    total += planes[:, 0::2, 1::2]
    total += planes[:, 1::2, 1::2]
    return total


def _mean_of_four(planes: np.ndarray) -> np.ndarray:
    return _sum_of_four(planes) / 4


def _replicate_borders(planes: np.ndarray, margin: int) -> np.ndarray:
    n, height, width = planes.shape
    padded = np.empty((n, height + 2 * margin, width + 2 * margin), dtype=planes.dtype)
    middle = padded[:, margin : margin + height]
    middle[:, :, margin : margin + width] = planes
    middle[:, :, :margin] = planes[:, :, :1]
    middle[:, :, margin + width :] = planes[:, :, -1:]
    padded[:, :margin] = middle[:, :1]
    padded[:, margin + height :] = middle[:, -1:]
    return padded


@lru_cache(maxsize=64)
def _gaussian(length: int, sigma: float) -> np.ndarray:
    """The matrix that blurs `length` pixels: a Gaussian cut at 4 sigma, borders mirrored about the edge pixel."""
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    position = np.abs(np.arange(length)[:, None] + offsets) % (2 * (length - 1))
    position = np.minimum(position, 2 * (length - 1) - position)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], position), weights)
    return matrix


def _blur(planes: np.ndarray, sigma: float) -> np.ndarray:
    height, width = planes.shape[1:]
    # One product per image, of shapes that do not depend on the batch: BLAS may round differently in another shape.
    return np.matmul(_gaussian(height, sigma), np.matmul(planes, _gaussian(width, sigma).T))


def _quantiles(planes: np.ndarray) -> Iterator[np.ndarray]:
    """The linear quantiles QUANTILES of every plane, each (n, 1, 1)."""
    ordered = np.sort(planes.reshape(len(planes), planes.shape[1] * planes.shape[2]), axis=1)
    for quantile in QUANTILES:
        index, fraction = divmod(quantile * (ordered.shape[1] - 1), 1)
        lower, upper = ordered[:, int(index)], ordered[:, min(int(index) + 1, ordered.shape[1] - 1)]
        yield (lower + fraction * (upper - lower))[:, None, None]
