"""Which ratio each low-resolution image has, and the low resolution itself."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from bench.protocol.fusion import ANCHORS
from bench.protocol.resize import shrink

PART = ("lowres", 1)


def balanced_ratios(n: int, seed: int) -> list[Fraction]:
    """A balanced random partition of n images over the three ratios (sizes differ by one at most).

    Drawn over training and test people alike, before any split, as in the author's construction; depends on `seed` and
    `n` only.
    """
    order = np.random.default_rng([seed, n, 0]).permutation(n)
    ratios = [ANCHORS[0]] * n
    for position, index in enumerate(order):
        ratios[index] = ANCHORS[position % len(ANCHORS)]
    return ratios


def simulate(images: Sequence[np.ndarray], probe: np.ndarray, ratios: Sequence[Fraction]) -> Iterator[np.ndarray]:
    """Shrink the probe-side images, each by its ratio; the others stay as they are."""
    remaining = iter(ratios)
    for image, is_probe in zip(images, probe, strict=True):
        yield shrink(image, next(remaining)) if is_probe else image
