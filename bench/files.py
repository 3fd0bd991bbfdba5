"""Writing files so that none is ever seen half, and giving back the memory of those that are mapped."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np


@contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open ``path.partial`` for writing bytes and rename it to `path` when all went well: no half file is ever seen.

    One writer at a time: callers hold a lock.  What a killed writer leaves is overwritten by the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def release(array: np.ndarray) -> None:
    """Give the memory of a read-only memory map back to the system; who reads it again reads the file again."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
