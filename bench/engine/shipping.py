"""What is sent of a run to where its cells are computed: cells by name, data by path where they can be read there.

Where they cannot, or are others there, their pixels are sent, once to each cache, and lie there (`BENCH_CACHE`) and
nowhere else.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from bench.engine.cache import Cache, header
from bench.engine.data import Data, load
from bench.engine.identity import Cell, short_hash, source_of
from bench.engine.isolation import isolated
from bench.engine.plan import Settings, Task, has_profiles, profile_for
from bench.errors import StorageError
from bench.files import release
from bench.plugin.outside import VARIABLE as PLUGINS
from bench.plugin.spec import DatasetSpec
from bench.protocol.images import Packed
from bench.protocol.splits import Split

BLOCK = 2**23
"""Bytes of pixels that are sent at a time."""


@dataclass(frozen=True)
class Sent(Data):
    """Data with the one split that a cell is on, whose file may be only where the run was planned."""

    given: Split | None = None

    def split(self, index: int, seed: int) -> Split:
        return self.given or super().split(index, seed)


@dataclass(frozen=True)
class Need:
    """What a row takes of a worker beside the harness: its method's code, and weights files by their SHA-256."""

    method: str
    profile: str
    source: str
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What all cells of a run share.

    name: no other run's.  store: a short name of where results go.  plugins, weights: folders, where the run has them.
    device: ``auto``, ``cpu`` or ``cuda``.  memory: bytes that a cell's distances may take, None for half of a worker's.
    """

    name: str
    store: str
    needs: tuple[Need, ...]
    plugins: tuple[str, ...]
    weights: Path | None
    device: str
    memory: int | None
    compile: bool
    deterministic: bool


@dataclass(frozen=True)
class Order:
    """A cell to be computed elsewhere.

    method: canonical text.  data: the digest.  split: who trains and who is tested.  threads: of a trained cell, None
    for another.  left: seconds until the stop and the cut of the budget, None without one.
    """

    cell: Cell
    method: str
    data: str
    split: Split
    threads: int | None
    left: tuple[float, float] | None


@dataclass(frozen=True)
class Bare:
    """A data set without its pixels.  pixels: their SHA-256; root: where the run reads its data."""

    data: Data
    pixels: str
    root: Path | None
    seed: int


def run_of(tasks: Sequence[Task], settings: Settings, device: str) -> Run:
    """What workers are told of a run."""
    needs = {}
    for task in tasks:
        profile = profile_for(task.data.spec, settings)
        needs[task.method.text, profile] = Need(
            task.method.text, profile, source_of(task.method.text), task.cell.weights
        )
    return Run(
        uuid4().hex[:12],
        short_hash(str(settings.store.folder.resolve())),
        tuple(needs.values()),
        tuple(os.environ.get(PLUGINS, "").split(os.pathsep)) if os.environ.get(PLUGINS) else (),
        settings.weights and settings.weights.resolve(),
        device,
        settings.memory,
        settings.compile,
        settings.deterministic,
    )


def order(task: Task, settings: Settings, threads: int) -> Order:
    """threads: of the worker."""
    cell, now = task.cell, time.monotonic()
    return Order(
        cell,
        task.method.text,
        task.data.digest,
        task.data.split(cell.split, cell.seed),
        settings.threads or (threads if has_profiles(task.method) else None),
        (settings.budget.stop - now, settings.budget.cut - now) if settings.budget else None,
    )


def bare(data: Data, root: Path | None, seed: int) -> Bare:
    pixels = hashlib.sha256(np.ascontiguousarray(data.images.flat).data).hexdigest()
    release(data.images.flat)
    without = replace(data, spec=absolute(data.spec), images=Packed(np.empty(0, np.uint8), data.images.shapes))
    return Bare(without, pixels, root and root.resolve(), seed)


def absolute(spec: DatasetSpec) -> DatasetSpec:
    """The same data set, its files named by paths that hold in any folder."""

    def whole(value: Any) -> Any:
        return value.absolute() if isinstance(value, Path) else value

    options = {name: whole(value) for name, value in vars(spec.options).items()}
    parameters = {name: whole(value) for name, value in spec.parameters.items()}
    return replace(spec, parameters=parameters, options=replace(spec.options, **options))


def blocks(data: Data) -> Iterator[tuple[int, bytes]]:
    """The pixels, and where each block of them begins."""
    flat = data.images.flat
    for start in range(0, len(flat), BLOCK):
        yield start, flat[start : start + BLOCK].tobytes()
    release(flat)


def found(sought: Bare, cache: Cache) -> Data | None:
    """The data where they can be had here: in the cache, or read from files and the same to the last bit."""
    sent = cache.get(key_of(sought))
    if sent is not None:
        return replace(sought.data, images=Packed(sent, sought.data.images.shapes))
    root = here(sought.root, "BENCH_DATA")
    try:
        with isolated():
            data = load(sought.data.spec, root, sought.seed, cache)
    except StorageError:
        raise
    except (Exception, SystemExit):  # a reader is a plug-in; whatever is wrong with the files here, they can be sent
        return None
    return data if data.digest == sought.data.digest else None


def key_of(sought: Bare) -> str:
    return f"sent|{sought.pixels}"


def receive(sought: str, length: int, start: int, block: bytes, cache: Cache, name: str) -> None:
    """Keep a block of pixels.  name: of the file until it is whole; another for each sender."""
    path = cache.path(sought)
    with cache.writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        head = header(np.dtype(np.uint8), (length,))
        with path.with_suffix(f".{name}.partial").open("r+b" if start else "wb") as file:
            if not start:
                file.write(head)
            file.seek(len(head) + start)
            file.write(block)


def complete(sought: str, pixels: str, cache: Cache, name: str) -> bool:
    """Put what was received in its place; whether it is what was sent."""
    path = cache.path(sought)
    partial = path.with_suffix(f".{name}.partial")
    with cache.writing():
        whole = np.load(partial, mmap_mode="r", allow_pickle=False)
        if hashlib.sha256(whole.data).hexdigest() != pixels:
            partial.unlink()
            return False
        os.replace(partial, path)
    return True


def here(path: Path | None, variable: str) -> Path | None:
    """A folder of the run's, where it is seen here too; otherwise the one that this machine's environment names."""
    if path is not None and path.is_dir():
        return path
    named = Path(os.environ[variable]) if os.environ.get(variable) else None
    return named if named is not None and named.is_dir() else None
