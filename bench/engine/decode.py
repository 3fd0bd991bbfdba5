"""From a photo to its pixels: which files count as images, which way up they are, and what is refused."""

import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from bench.errors import DataError
from bench.plugin.base import Photo

# tqdm's own lock is a semaphore of the system, which a process that is killed leaves behind.
tqdm.set_lock(threading.RLock())

PART = ("decode", 1)
SMALLEST = 4
"""Pixels: an image with a shorter side is taken for damage, not for a person."""
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "PPM", "WEBP")
"""Pillow opens no others, whatever a file's name says: its reader of EPS starts another program."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".webp")


def decoder() -> str:
    """What names the way from a file's bytes to its pixels."""
    return f"{PART}|Pillow {PIL.__version__}"


def decode_all(photos: Sequence[Photo], name: str) -> Iterator[np.ndarray]:
    """Photos as uint8 RGB arrays, one at a time; on a terminal with a progress bar where it takes long."""
    for photo in tqdm(photos, f"decoding {name}", file=sys.stderr, disable=None, delay=1, leave=False, unit="image"):
        yield decode(photo, name)


def decode(photo: Photo, name: str) -> np.ndarray:
    """A photo as a uint8 RGB array (h, w, 3), the right way up; DataError, naming the file, where it has no such."""
    if isinstance(photo.image, np.ndarray):
        if photo.image.dtype != np.uint8 or photo.image.ndim != 3 or photo.image.shape[2] != 3:
            raise DataError(
                f"{name}: person {photo.identity}: an image must be uint8 (h, w, 3), not"
                f" {photo.image.dtype} {photo.image.shape}"
            )
        pixels = photo.image
    else:
        pixels = decode_file(photo.image, name)
    if min(pixels.shape[:2]) < SMALLEST:
        where = photo.image if isinstance(photo.image, Path) else f"an image of person {photo.identity}"
        size = "x".join(map(str, pixels.shape[1::-1]))
        raise DataError(f"{name}: {where} has {size} pixels; an image of a person has at least {SMALLEST} a side")
    return pixels


def decode_file(path: Path, name: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with open_image(path) as image:
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise ValueError(f"it holds {frames} images (an animation?); save one of them by itself")
                image.load()
                return as_rgb(ImageOps.exif_transpose(image) if orientation(image) != 1 else image)
    except Exception as error:  # Pillow raises many kinds for damaged files; all mean the same to the user
        reason = one_line(error)
        if isinstance(error, UnidentifiedImageError):
            reason = f"{reason} as {', '.join(FORMATS)}"
        if path.is_file() and path.stat().st_size == 0:
            reason = "the file is empty"
        raise DataError(f"{name}: {path} is not a readable image: {reason}") from error


def open_image(path: Path) -> Image.Image:
    if path.exists() and not path.is_file() and not path.is_dir():  # reading a pipe or a device may never end
        raise ValueError("it is not a regular file")
    return Image.open(path, formats=FORMATS)


def image_area(path: Path, name: str) -> int:
    """An image's pixels, from its header, whichever way up it is; DataError where it has none."""
    try:
        with open_image(path) as image:
            return image.width * image.height
    except Exception as error:  # as above
        raise DataError(f"{name}: {path} is not a readable image: {one_line(error)}") from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 for upright; a file whose EXIF data are damaged is taken as it is, as viewers do."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow raises many kinds
        return 1


def as_rgb(image: Image.Image) -> np.ndarray:
    """uint8 RGB (h, w, 3).  Grey, palette, CMYK and YCbCr are converted; ValueError where no conversion is right.

    Pillow reads 16-bit RGB at its upper eight bits but clips other modes of more than eight bits, and ignores
    transparency, behind which a file may keep any colour.
    """
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"more than 8 bits a channel (Pillow mode {image.mode}); save it as 8-bit RGB")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        raise ValueError("it has transparent pixels; save it as RGB, on the background that it belongs on")
    return np.asarray(image.convert("RGB"))


def one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
