"""One measurement: two ways to the same result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sides:
    """ours, reference: do the whole work once, and return what is compared.

    figures: what else is said of ours, by name, from the processor seconds of one call.
    """

    ours: Callable[[], Any]
    reference: Callable[[], Any]
    figures: Mapping[str, Callable[[float], float]] = field(default_factory=dict)


def always() -> str:
    return ""


@dataclass(frozen=True)
class Case:
    """make: inputs of a size, and both sides on them; it may write into the folder that it is given.

    reference: what ours is compared with.  size: of what is measured, in `unit`; tiny: of a check that all works.
    tolerance: the largest difference of the two results, as a share of the reference's largest value.
    missing: why it cannot be measured here; empty where it can.
    """

    name: str
    reference: str
    make: Callable[[int, Path], Sides]
    size: int
    unit: str
    tiny: int
    tolerance: float = 0.0
    missing: Callable[[], str] = always


def difference(ours: Any, reference: Any) -> float:
    """The largest difference of two results as a share of the reference's largest value; infinite for other shapes,
    for numbers that are not finite, and for text that is not equal.

    Numbers, arrays, dictionaries of numbers, text, and lists of these, of which each counts by itself.
    """
    if isinstance(reference, tuple | list):
        if not isinstance(ours, tuple | list) or len(ours) != len(reference):
            return np.inf
        return max((difference(*pair) for pair in zip(ours, reference, strict=True)), default=0.0)
    if isinstance(reference, dict):
        if not isinstance(ours, dict) or ours.keys() != reference.keys():
            return np.inf
        return difference(np.array([ours[key] for key in reference]), np.array(list(reference.values())))
    if isinstance(reference, str) or reference is None:
        return 0.0 if ours == reference else np.inf
    a, b = np.asarray(ours, float), np.asarray(reference, float)
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    if not a.size:
        return 0.0
    largest = float(np.abs(b).max())
    return float(np.abs(a - b).max()) / (largest or 1.0)
