"""The file of what a cell's models enhance images with: small named arrays of numbers, safe to read from a stranger."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.errors import BenchError
from bench.files import read_regular

LARGEST = 2**20
"""Bytes of a cell's file."""
SUFFIX = ".safetensors"

Arrays = Mapping[str, np.ndarray]
Enhancers = Mapping[str, Arrays]
"""By anchor."""


def packed(enhancers: Enhancers) -> bytes:
    """The content of a file, of the arrays by anchor; BenchError where it would be too large."""
    from safetensors.numpy import save

    content = save({f"{anchor}|{name}": array for anchor, own in enhancers.items() for name, array in own.items()})
    if len(content) > LARGEST:
        raise BenchError(f"the enhancers have {len(content):,} bytes; a cell keeps at most {LARGEST:,}")
    return content


def unpacked(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The arrays in a file by anchor; BenchError, naming it, for anything else."""
    from safetensors.numpy import load

    found: dict[str, dict[str, np.ndarray]] = {}
    try:
        for key, array in load(read_regular(path, LARGEST, "the enhancers of a cell have")).items():
            anchor, bar, name = key.partition("|")
            if not bar or array.dtype.kind != "f" or not np.isfinite(array).all():
                raise ValueError(f"{key!r} is no array of an anchor's, of finite numbers")
            found.setdefault(anchor, {})[name] = array
    except Exception as error:  # the library raises many kinds for a damaged file
        reason = " ".join(f"{getattr(error, 'strerror', None) or error}".split())[:200]
        again = "remove it or run the cell again with --force"
        raise BenchError(f"{path} holds no readable enhancers: {reason}; {again}") from error
    return found
