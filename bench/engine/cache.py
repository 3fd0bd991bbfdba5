"""Arrays that several cells need, computed once and shared between processes as read-only memory maps.

The cache (`BENCH_CACHE`, by default ``~/.cache/bench``) holds decoded images, features and Gram matrices, named by what
produced them.  It may be deleted at any time.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock

from bench.errors import BenchError, StorageError
from bench.files import write_atomically


def cache_folder() -> Path:
    """`BENCH_CACHE`, or ``bench`` in the user's cache folder."""
    if chosen := os.environ.get("BENCH_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bench"


class Cache:
    """Arrays on disk by key.  Two processes that want the same array compute it once: the second waits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.npy"

    def get(self, key: str) -> np.ndarray | None:
        """The array of that key as a read-only memory map, None when there is none (or its file is damaged)."""
        try:
            return np.load(self.path(key), mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            return None
        except Exception:  # numpy raises many kinds for a damaged header; all mean that the array must be made again
            return None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say of an error of the disk that it is the cache's."""
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"cannot write to the cache {self.folder}: {error.strerror or error}; free space or set BENCH_CACHE"
            ) from error

    @contextmanager
    def lock(self, path: Path) -> Iterator[None]:
        lock = FileLock(path.with_suffix(".lock"))
        with self.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def array(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of that key; made by `make` and kept when it is not there yet."""

        def write(path: Path) -> None:
            made = make()
            with self.writing(), write_atomically(path) as file:
                np.save(file, made)

        return self._once(key, write)

    def rows(self, key: str, blocks: Callable[[], Iterable[np.ndarray]]) -> np.ndarray:
        """Likewise, made of blocks of its rows (k, ...) of one type, at least one, of which one at a time is held."""

        def write(path: Path) -> None:
            with ExitStack() as stack:
                with self.writing():
                    file = stack.enter_context(write_atomically(path))
                n = 0
                for block in blocks():
                    if isinstance(block, np.ma.MaskedArray):
                        raise BenchError("an extractor or front-end returned a masked array; a plain one expected")
                    with self.writing():
                        if file.tell() == 0:
                            file.write(header(block.dtype, (n, *block.shape[1:])))
                        file.write(np.ascontiguousarray(block).data)
                    n += len(block)
                with self.writing():
                    # numpy's header has room for a longer first axis: its length is the same for any number of rows.
                    file.seek(0)
                    file.write(header(block.dtype, (n, *block.shape[1:])))
                    stack.close()

        return self._once(key, write)

    def _once(self, key: str, write: Callable[[Path], None]) -> np.ndarray:
        """The array of that key; where there is none, `write` makes its file, in one process at a time."""
        found = self.get(key)
        if found is not None:
            return found
        path = self.path(key)
        with self.lock(path):
            found = self.get(key)
            if found is not None:
                return found
            write(path)
        loaded = self.get(key)
        if loaded is None:
            raise BenchError(f"the cache file {path} cannot be read back; delete {self.folder} and run again")
        return loaded


def header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The head of an ``.npy`` file."""
    head = io.BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, description)
    return head.getvalue()
