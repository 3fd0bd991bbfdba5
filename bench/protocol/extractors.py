"""Features as the harness keeps them: what computes them, and what names them in the cache."""

import hashlib
import pickle
import re
import sys
from typing import Protocol

import numpy as np

from bench.errors import BenchError


class Extractor(Protocol):
    """A feature: called with uint8 RGB images (n, h, w, 3), returns float32 (n, d).

    The result for an image must not depend on the others of its batch.
    """

    def __call__(self, images: np.ndarray) -> np.ndarray: ...


def extractor_key(extractor: Extractor) -> str:
    """What names an extractor's results: its text, its state, its version, and the versions of what it is built of.

    BenchError for one whose text is an address, which the next object may have, and for state that cannot be stored.
    """
    text = repr(extractor)
    if re.search(r" at 0x[0-9a-f]+>", text):
        raise BenchError(
            f"the extractor {type(extractor).__name__} has no __repr__ that names its parameters, which its features"
            " are kept under"
        )
    return f"{text}|{versions(extractor)}|{state(extractor)}"


def versions(extractor: object) -> list[object]:
    """Class attribute `version` (1 where there is none) and the module's part, and those of callable parameters."""
    part = getattr(sys.modules.get(type(extractor).__module__), "PART", None)
    inner = [versions(value) for value in getattr(extractor, "__dict__", {}).values() if callable(value)]
    return [getattr(extractor, "version", 1), part, *inner]


def state(extractor: object) -> list[object]:
    """Public attributes by name with a digest of their content, and those of callable parameters.

    What an extractor has learned names its features too: else those of one split's training would serve another's test.
    """
    found: list[object] = []
    for name, value in sorted(getattr(extractor, "__dict__", {}).items()):
        if name.startswith("_"):
            continue
        if callable(value):
            found.append((name, state(value)))
            continue
        try:
            found.append((name, hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()[:16]))
        except Exception as error:  # pickle raises many kinds
            raise BenchError(
                f"the extractor {type(extractor).__name__} holds {name}, which cannot be pickled: nothing can"
                " name its features"
            ) from error
    return found
