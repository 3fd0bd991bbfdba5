"""What a method says of how it enhances images, checked: what it keeps of it, and what comes of that."""

from collections.abc import Mapping, Sequence

import numpy as np

from bench.engine.alone import MOST_IMAGES, batches
from bench.engine.enhancers import Arrays, packed
from bench.errors import BenchError
from bench.plugin.base import Method

FLOATS = (np.float16, np.float32, np.float64)


def enhancer_of(fitted: Method) -> dict[str, np.ndarray]:
    """The arrays that a fitted method keeps; BenchError where they are not named, finite floating-point numbers."""
    given, name = fitted.enhancer(), f"{fitted.name}.enhancer"
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise BenchError(f"{name} must return a dictionary of named arrays, not {type(given).__name__}")
    for key, array in given.items():
        if not isinstance(array, np.ndarray) or array.dtype not in FLOATS:
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise BenchError(f"{name}: {key!r} is {kind}; a numpy array of floating-point numbers expected")
        if not np.isfinite(array).all():
            raise BenchError(f"{name}: {key!r} has values that are NaN or infinite; all must be finite")
    return {key: np.ascontiguousarray(array) for key, array in given.items()}


def enhanced(method: Method, images: Sequence[np.ndarray], enhancer: Arrays) -> np.ndarray:
    """What a method, not fitted, makes of low-resolution images with these arrays.

    BenchError unless it is uint8 RGB (n, h, w, 3), of the method's input size or of its centre.
    """
    given, name = method.enhance(images, enhancer), f"{method.name}.enhance"
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8 or given.ndim != 4:
        raise BenchError(f"{name} must return a uint8 array (n, height, width, 3)")
    whole = (len(images), *method.input_size, 3)
    cut = [a - b for a, b in zip(whole, given.shape, strict=True)]
    if cut[0] or cut[3] or any(side < 0 or side % 2 for side in cut[1:3]):
        raise BenchError(f"{name} returned shape {given.shape}; {whole}, or the centre of such images, expected")
    return given


def check_enhancer(fitted: Method, other: Method, images: Sequence[np.ndarray], models: int) -> None:
    """Check what a fitted method keeps, if anything, by letting another, not fitted, enhance images with it.

    models: of a cell.  BenchError where it is wrong.
    """
    enhancer = enhancer_of(fitted)
    if not enhancer:
        return
    packed({str(model): enhancer for model in range(models)})
    images = images[:MOST_IMAGES]
    whole = enhanced(other, images, enhancer).astype(np.int64)
    for rows in batches(len(images)):
        some = enhanced(other, [images[i] for i in rows], enhancer)
        if np.abs(some - whole[rows]).max() > 1:  # a network's last bits may turn a grey level into the next
            raise BenchError(f"{other.name}.enhance gives an image otherwise among other images or alone")
