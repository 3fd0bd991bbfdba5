"""Files by their content, which is read again only where something about a file has changed."""

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.engine.cache import Cache
from bench.errors import DataError


def content_stamp(items: Sequence[Path | np.ndarray], cache: Cache) -> str:
    """Digest (64 hexadecimal digits) of the bytes of files and arrays, in order; names and places do not count.

    It is remembered for files whose path, size, times of change (mtime and ctime), inode and device are all as they
    were: a file that was replaced or overwritten is read again even where its size and mtime are the same.
    DataError, naming it, for a file that cannot be read.
    """
    seen = hashlib.sha256()
    for item in items:
        if not isinstance(item, Path):
            return hash_contents(items)
        seen.update(repr(file_state(item)).encode())
    key = f"stamp|{seen.hexdigest()}"
    return bytes(cache.array(key, lambda: np.frombuffer(bytes.fromhex(hash_contents(items)), np.uint8))).hex()


def file_state(path: Path) -> tuple[str, int, int, int, int, int]:
    """What changes with a file's content: path, size, mtime and ctime in ns, inode and device."""
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):  # reading it may never end
        raise DataError(f"cannot read {path}: it is not a regular file")
    times = status.st_mtime_ns, status.st_ctime_ns
    return os.path.abspath(path), status.st_size, *times, status.st_ino, status.st_dev


def hash_contents(items: Sequence[Path | np.ndarray]) -> str:
    """SHA-256 of the SHA-256s of all contents, in order."""
    together = hashlib.sha256()
    for item in items:
        if isinstance(item, Path):
            try:
                content = hashlib.sha256()
                with item.open("rb") as file:
                    while block := file.read(2**22):  # a MATLAB file of a whole set has gigabytes
                        content.update(block)
            except OSError as error:
                raise unreadable(item, error) from error
        else:
            content = hashlib.sha256(repr((item.dtype.str, item.shape)).encode() + item.tobytes())
        together.update(content.digest())
    return together.hexdigest()


def unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {error.strerror or error}")
