"""Writing files so that none is ever seen half, reading those of strangers, giving back the memory of mapped ones."""

import errno
import hashlib
import mmap
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bench.errors import BenchError, UsageError


@contextmanager
def write_atomically(path: Path, shared: bool = False) -> Iterator[BinaryIO]:
    """Open ``path.partial`` for writing bytes and rename it to `path` when all went well: no half file is ever seen.

    One writer at a time: callers that may meet another hold a lock.  What a killed writer leaves the next overwrites.
    shared: others may write the same file at the same time, on other machines too, and the last one's stays.  Each
    writes to a name of its own, which stays behind where it is killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(8)}.partial" if shared else f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            try:
                yield file
            except BaseException:
                # Closing writes what is buffered: on a full disk that fails again, and would hide the first error.
                with suppress(OSError):
                    file.close()
                raise
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file that a user named, open for bytes and never seen half; a device or a pipe is written to as it is.

    A link stays one: what it leads to is written.
    UsageError for a folder; BenchError, in a line, where it cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it")
    try:
        whole = path.is_file() or not path.exists()
        with write_atomically(Path(os.path.realpath(path))) if whole else path.open("wb") as file:
            yield file
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error


def require_file(path: Path) -> None:
    """OSError for a pipe or a device: reading it may never end, or fill the memory."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is not a regular file")


def release(array: np.ndarray) -> None:
    """Give the memory of a read-only memory map back to the system; who reads it again reads the file again."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def read_regular(path: Path, most: int, what: str) -> bytes:
    """The content of a regular file of bearable size; ValueError for anything else, which is not opened.

    what: of whose size `most` is, such as ``a result has``.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > most:
        raise ValueError(f"{status.st_size:,} bytes; {what} at most {most:,}")
    return path.read_bytes()


def names(folder: Path) -> list[str]:
    """What a folder holds, in order; nothing where it is not there or may not be looked into."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


LONGEST_NAME = 255  # bytes, the limit of nearly every file system


def safe_name(text: str) -> str:
    """A text as the name of one file or folder: slashes become dashes; a longer one is cut and ends in its hash."""
    name = text.replace("/", "-").replace(os.sep, "-")
    encoded = name.encode()
    if len(encoded) <= LONGEST_NAME:
        return name
    suffix = "-" + hashlib.sha256(text.encode()).hexdigest()[:16]
    return encoded[: LONGEST_NAME - len(suffix)].decode(errors="ignore") + suffix
