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
_BLUR_IMAGES = 4  # blurred at a time, and
_COUNT_BYTES = 500_000  # counted in at a time: what the second-level cache of a core holds
_KEY = 2**15 / 2.5e12  # from Retinex values in units of 1e-12, of which none is beyond log10(256), to 16 bits
_TINY = np.float32(1e-30)  # added to a whole number, changes none but 0
_LOG_COUNT = np.log1p(np.arange(BLOCK * BLOCK + 1.0))


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
    total = channels[0].astype(np.uint16)
    total += channels[1]
    total += channels[2]
    intensity = total.astype(np.float64)
    intensity /= 3
    intensity += 1
    # log10 is monotone and additive: one logarithm serves the mean of two differences.
    retinex = intensity * intensity
    retinex /= _surrounds(intensity)
    np.log(retinex, out=retinex)
    # Rounding to 12 decimals makes flat areas exactly 0: a stretch would enlarge the blur's rounding errors.
    retinex *= 0.5e12 / np.log(10)
    np.rint(retinex, out=retinex)
    low, high = _quantiles(retinex)
    flat = low == high
    np.clip(retinex, low, high, out=retinex)
    retinex -= low
    retinex /= np.where(flat, 1, high - low)
    retinex *= 255
    gain = np.divide(retinex, intensity, out=retinex)
    largest = np.maximum(np.maximum(channels[0], channels[1]), channels[2])
    limit = np.add(largest, 1e-300, out=intensity)  # no change but to 0
    np.minimum(gain, np.divide(256, limit, out=limit), out=gain)
    gain[flat[:, 0, 0]] = 1
    enhanced = np.multiply(gain, channels, out=np.empty(channels.shape, np.uint16), casting="unsafe")
    enhanced -= enhanced >> 8  # at most 255
    return np.moveaxis(enhanced.astype(np.uint8), 0, -1)


def hsv_codes(images: np.ndarray) -> np.ndarray:
    """Joint code 64 V + 8 S + H in 0..511 of every pixel, uint8 (n, h, w, 3) to uint16 (n, h, w).

    Each of H (in turns), S and V = max(R, G, B) is quantised to min(floor(8 x), 7).
    """
    red, green, blue = np.moveaxis(images, -1, 0)
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    green_mask = -(largest == green).view(np.int8).astype(np.int16)  # all bits or none
    blue_mask = -(largest == blue).view(np.int8).astype(np.int16)
    chroma = (largest - smallest).astype(np.int16)
    red, green, blue = red.astype(np.int16), green.astype(np.int16), blue.astype(np.int16)
    # In sixths of a turn, times the chroma. Masks choose at a fraction of what np.where takes.
    hue = green - blue
    hue ^= (hue ^ (blue - red + 2 * chroma)) & green_mask
    hue ^= (hue ^ (red - green + 4 * chroma)) & blue_mask
    hue += (hue >> 15) & (6 * chroma)  # a full turn where negative
    # A quotient never rounds past a whole number: the floors of float32 are exact.
    saturation = ((8 * chroma) / (largest + _TINY)).astype(np.uint16)
    saturation -= saturation >> 3  # at most 7
    codes = (largest >> 5) << np.uint16(3)
    codes += saturation
    codes <<= 3
    codes += ((4 * hue) / (3 * chroma + _TINY)).astype(np.uint16)
    return codes


def pool_hsv_codes(codes: np.ndarray) -> np.ndarray:
    """Codes at half the scale: the floored 2x2 mean of H, of S and of V; (n, h, w) to (n, h // 2, w // 2), uint16."""
    # The three 3-bit fields are moved 5 bits apart, room enough for the sum of four: one addition serves all three.
    spread = (codes & 0o7) | (codes & 0o70) << 2 | (codes & 0o700) << 4
    total = _sum_of_four(spread) >> 2
    return (total & 0o7) | total >> 2 & 0o70 | total >> 4 & 0o700


def grey_levels(images: np.ndarray) -> np.ndarray:
    """Luma .2989 R + .5870 G + .1140 B rounded to whole grey levels, uint8 (n, h, w, 3) to uint8 (n, h, w)."""
    red, green, blue = (channel.astype(np.float64) for channel in np.moveaxis(images, -1, 0))
    luma = np.multiply(red, 0.2989, out=red)
    luma += np.multiply(green, 0.5870, out=green)
    luma += np.multiply(blue, 0.1140, out=blue)
    luma += 0.5
    return luma.astype(np.uint8)


def siltp_codes(grey: np.ndarray, radii: Sequence[int] = RADII) -> np.ndarray:
    """Scale-invariant local ternary patterns, codes 0..80 as uint8 (radii, n, h, w).

    Each of the neighbours at R pixels (right, up, left, down, of weights 1, 3, 9, 27; borders replicated) counts
    1 below (1 - tau) times the centre, 2 above (1 + tau) times the centre, else 0.

    Parameters
    ----------
    grey : (n, h, w), grey levels as uint8 or, pooled, in [0, 1] as float64.
    radii : evenly spaced.
    """
    if len(set(np.diff(radii))) > 1:
        raise BenchError(f"radii must be evenly spaced. Got {list(radii)}.")
    border, gap = max(radii), radii[1] - radii[0] if len(radii) > 1 else 1
    padded = _replicate_borders(grey, border)
    # In the flattened padded array a neighbour is a fixed offset away; what that yields in the border is cropped.
    row = padded.shape[2]
    inner = slice(border * row, padded.size - border * row)
    flat = padded.ravel()
    centre = flat[inner]
    if grey.dtype == np.uint8:
        # The levels n < (1 - tau) I are those below I - floor(tau I), the levels n > (1 + tau) I those above I + it.
        tolerance = (centre * np.uint16(round(10 * TAU)) // np.uint16(10)).astype(np.uint8)
        below = centre - tolerance
        above = centre + np.minimum(tolerance, ~centre)  # at most 255
    else:
        below, above = (1 - TAU) * centre, (1 + TAU) * centre
    codes = np.zeros((len(radii), *padded.shape), dtype=np.uint8)
    code = codes.reshape(len(radii), -1)[:, inner]
    outside = np.empty(code.shape, dtype=bool)
    for direction in (row, -1, -row, 1):  # down, left, up, right, each at all radii at once
        first, step = inner.start + direction * radii[0], direction * gap
        neighbours: np.ndarray = np.ndarray(
            code.shape, flat.dtype, flat, first * flat.itemsize, (step * flat.itemsize, flat.itemsize)
        )
        code *= 3
        code += np.less(neighbours, below, out=outside).view(np.uint8)
        brighter = np.greater(neighbours, above, out=outside).view(np.uint8)
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
    codes = codes[:, : STEP * (rows + 1), : STEP * (columns + 1)]
    step = max(1, min(n, _COUNT_BYTES // ((rows + 1) * (columns + 1) * (bins + STEP * STEP * 8))))
    first_bin = _first_bins(step, rows + 1, columns + 1, bins)
    # Arrays made once for all groups: what the last one left in the cache the next one finds there.
    cells = np.empty((step, columns + 1, rows + 1, bins), dtype=np.uint8)
    pairs, blocks = np.empty_like(cells[:, :, 1:]), np.empty_like(cells[:, 1:, 1:])
    index = np.empty_like(first_bin)
    maxima = np.empty((n, rows, bins), dtype=np.uint8)
    for start in range(0, n, step):
        group = slice(min(step, n - start))
        index[group] = codes[start : start + step]
        index[group] += first_bin[group]
        cells.fill(0)
        np.add.at(cells.reshape(-1), index[group].reshape(-1), np.uint8(1))
        np.add(cells[group, :, :-1], cells[group, :, 1:], out=pairs[group])
        np.add(pairs[group, :-1], pairs[group, 1:], out=blocks[group])
        np.max(blocks[group], axis=1, out=maxima[start : start + step])
    return maxima


def _check(images: np.ndarray) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        got = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise BenchError(f"LOMO takes RGB images as a uint8 array (n, h, w, 3). Got {got} instead.")
    height, width = images.shape[1:3]
    if min(height, width) < BLOCK:
        raise BenchError(f"LOMO needs images of at least {BLOCK}x{BLOCK} pixels. Got {height} rows of {width} pixels.")


def _counts(images: np.ndarray, colours: np.ndarray) -> list[list[np.ndarray]]:
    """The three parts before their logarithm, by scale, uint8 (n, bands, bins): HSV of `colours`, SILTP of `images`."""
    hsv, scales = hsv_codes(colours), []
    for scale in range(SCALES):
        hsv = pool_hsv_codes(hsv) if scale else hsv
        scales.append(block_maxima(hsv, HSV_BINS))
    grey = grey_levels(images)
    patterns: dict[int, list[np.ndarray]] = {}
    for plane in (grey, half := _mean_of_four(grey / 255), _mean_of_four(half)):
        if radii := [radius for radius in RADII if plane.shape[2] >= 2 * radius + 1]:
            codes = siltp_codes(plane, radii)
            maxima = block_maxima(codes.reshape(-1, *plane.shape[1:]), SILTP_BINS)
            for radius, part in zip(radii, np.split(maxima, len(radii)), strict=True):
                patterns.setdefault(radius, []).append(part)
    return [scales, *(patterns[radius] for radius in RADII if radius in patterns)]


def _log_normalise(parts: list[list[np.ndarray]], out: np.ndarray) -> None:
    """log(1 + x) of counts x, each part of each row divided by its Euclidean norm; fills what is not 0 of `out`."""
    flat = [[counts.reshape(len(out), counts.shape[1] * counts.shape[2]) for counts in scales] for scales in parts]
    counts = np.concatenate([scale for scales in flat for scale in scales], axis=1)
    lengths = [sum(scale.shape[1] for scale in scales) for scales in flat]
    part_ends = np.add.outer(np.arange(len(counts)) * counts.shape[1], np.cumsum(lengths))
    filled = np.flatnonzero(counts != 0)
    logs = _LOG_COUNT.take(counts.ravel().take(filled))
    ends = np.searchsorted(filled, part_ends.ravel())
    starts = np.concatenate([[0], ends[:-1]])
    norms = np.sqrt(np.add.reduceat(logs * logs, starts))
    logs /= norms.repeat(ends - starts)
    out.reshape(-1)[filled] = logs.astype(np.float32)  # twice as fast as to let the assignment convert


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
    """The matrix that blurs rows of `length` pixels it is multiplied to from the right.

    A Gaussian cut at 4 sigma, borders mirrored about the edge pixel.
    """
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    position = np.abs(np.arange(length)[:, None] + offsets) % (2 * (length - 1))
    position = np.minimum(position, 2 * (length - 1) - position)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (position, np.arange(length)[:, None]), weights)
    return matrix


@lru_cache(maxsize=64)
def _half_gaussians(length: int, sigma: float) -> np.ndarray:
    """The matrix that blurs columns in two halves, (2, m, m) with m = ceil(length / 2).

    Seen from the other end the matrix is the same. Sums of what lies opposite each other therefore become sums, and
    differences become differences, at half the multiplications.
    """
    matrix, half = _gaussian(length, sigma).T, (length + 1) // 2
    near, far = matrix[:half, :half], matrix[:half, ::-1][:, :half]
    halves = np.stack([near + far, near - far]) / 2
    if length % 2:
        halves[:, :, -1] /= 2  # the middle is its own mirror image, and counted twice
    return halves


def _surrounds(planes: np.ndarray) -> np.ndarray:
    """The product of the planes' blurs at each of SIGMAS."""
    n, height, width = planes.shape
    half = (height + 1) // 2
    product = np.empty_like(planes)
    for start in range(0, n, _BLUR_IMAGES):
        group, target = planes[start : start + _BLUR_IMAGES], product[start : start + _BLUR_IMAGES]
        opposite = group[:, ::-1]
        sides = np.empty((len(group), 2, half, width))
        np.add(group[:, :half], opposite[:, :half], out=sides[:, 0])
        np.subtract(group[:, :half], opposite[:, :half], out=sides[:, 1])
        above, below = [], []
        for sigma in SIGMAS:
            # One product per image, of shapes that do not depend on the batch: BLAS may round otherwise in another.
            rows = np.matmul(sides.reshape(len(group), 2 * half, width), _gaussian(width, sigma))
            sums, differences = np.matmul(_half_gaussians(height, sigma), rows.reshape(sides.shape)).swapaxes(0, 1)
            above.append(sums + differences)
            below.append(sums - differences)
        np.multiply(*above, out=target[:, :half])
        np.multiply(*(part[:, : height // 2] for part in below), out=target[:, half:][:, ::-1])
    return product


def _quantiles(planes: np.ndarray) -> Iterator[np.ndarray]:
    """The linear quantiles QUANTILES of every plane, each (n, 1, 1)."""
    values = planes.reshape(len(planes), planes.shape[1] * planes.shape[2])
    # Keys of 16 bits are sorted in a tenth of the time; values only where they share the key of a wanted one.
    keys = (values * _KEY + 2.0**15).astype(np.uint16)
    ordered = np.sort(keys, axis=1, kind="stable")
    last = values.shape[1] - 1
    for quantile in QUANTILES:
        index, fraction = divmod(quantile * last, 1)
        first = int(index)
        lower, upper = ordered[:, first], ordered[:, min(first + 1, last)]
        smaller = [int(row.searchsorted(key)) for row, key in zip(ordered, lower, strict=True)]
        found = np.flatnonzero((keys == lower[:, None]) | (keys == upper[:, None]))
        chosen, row = values.ravel()[found], found // values.shape[1]
        chosen = chosen[np.lexsort((chosen, row))]
        place = np.searchsorted(row, np.arange(len(values))) + first - np.array(smaller, dtype=np.intp)
        lower, upper = chosen[place], chosen[place + min(1, last - first)]
        yield (lower + fraction * (upper - lower))[:, None, None]
