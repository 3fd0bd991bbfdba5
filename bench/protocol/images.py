"""What a method sees of a data set: selections of images, their features and inner products, no row numbers.

A `Source` is one side of a data set as one front-end shows it at one size; an `Images` is a selection of rows of one or
more sources.  Features and Gram matrices are computed per source, over all its images, and kept in the cache: they do
not depend on the split, so all splits and methods share them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from joblib import Parallel, delayed

from bench.errors import BenchError
from bench.files import release
from bench.protocol import products
from bench.protocol.extractors import Extractor, extractor_key

CHUNK = 64
GRAM_BUDGET = 2**27
"""Entries (float64) of the largest Gram matrix computed whole and kept: 1 GiB."""


class ArrayCache(Protocol):
    """Where arrays are kept by key, each made once."""

    def array(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray: ...

    def rows(self, key: str, blocks: Callable[[], Iterable[np.ndarray]]) -> np.ndarray: ...


@dataclass(frozen=True)
class Source:
    """N images at one size.  key: names what produced them; make: yields them in blocks, uint8 (k, h, w, 3)."""

    key: str
    make: Callable[[], Iterable[np.ndarray]]
    cache: ArrayCache

    @cached_property
    def array(self) -> np.ndarray:
        """(N, h, w, 3) uint8, a memory map of the cache's file."""
        return self.cache.rows(f"images|{self.key}", self.make)

    @cached_property
    def content(self) -> str:
        """SHA-256 of the pixels, remembered in the cache: front-ends that make the same images share their features."""

        def compute() -> np.ndarray:
            sha = hashlib.sha256(str(self.array.shape).encode())
            for start in range(0, len(self.array), CHUNK):
                sha.update(np.ascontiguousarray(self.array[start : start + CHUNK]).data)
            release(self.array)
            return np.frombuffer(sha.digest(), np.uint8)

        return bytes(self.cache.array(f"content|{self.key}", compute)).hex()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "array"}

    def features(self, extractor: Extractor, jobs: int = 1) -> np.ndarray:
        """(N, d) float32, from the cache; computed in chunks on `jobs` threads when it is not there."""

        def compute() -> Iterator[np.ndarray]:
            chunks = (self.array[i : i + CHUNK] for i in range(0, len(self.array), CHUNK))
            if jobs > 1 and len(self.array) > CHUNK:
                parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
                yield from parallel(delayed(extractor)(chunk) for chunk in chunks)
            else:
                yield from map(extractor, chunks)
            release(self.array)

        return self.cache.rows(f"features|{self.content}|{extractor_key(extractor)}", compute)

    def gram(self, other: "Source", extractor: Extractor, jobs: int = 1) -> np.ndarray:
        """(N, N') float64 inner products of this source's features with another's, from the cache."""
        if other.key < self.key:
            return other.gram(self, extractor, jobs).T
        a, b = self.features(extractor, jobs), other.features(extractor, jobs)
        key = f"gram|{self.key}|{other.key}|{extractor_key(extractor)}"
        return self.cache.array(key, lambda: products.inner_products(a, b, symmetric=self.key == other.key, jobs=jobs))


def share(sources: Sequence[Source], extractor: Extractor, jobs: int) -> None:
    """Put the features of some sources, and the Gram matrices among them, into the cache."""
    for i, a in enumerate(sources):
        for b in sources[: i + 1]:
            if len(a.features(extractor, jobs)) * len(b.features(extractor, jobs)) <= GRAM_BUDGET:
                a.gram(b, extractor, jobs)


class NativeImages(Sequence[np.ndarray]):
    """Images at their native sizes, uint8 RGB, each read when it is asked for.

    Every image is a copy: where one lies in memory tells nothing of the data set's order.
    """

    def __init__(self, count: int, read: Callable[[int], np.ndarray]) -> None:
        self._count, self._read = count, read

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int or slice, like any sequence
        if isinstance(index, slice):
            return [self._read(i) for i in range(*index.indices(self._count))]
        return self._read(range(self._count)[index])


@dataclass(frozen=True, eq=False)
class Images:
    """n images, with labels where they are of training people.

    identity: (n,) int64; BenchError where the images are to be matched.  camera: (n,) str.  area: (n,) float64, native
    size in pixels, before any resizing.  native: the images at their native sizes, uint8 RGB.
    """

    _parts: tuple[tuple[Source, np.ndarray], ...] = field(repr=False)
    _identity: np.ndarray | None = field(repr=False)
    camera: np.ndarray
    area: np.ndarray
    native: Sequence[np.ndarray] = field(repr=False)
    _order: np.ndarray | None = field(default=None, repr=False)
    """Where each image stands among the parts, one after the other; None where they stand in that order."""

    @property
    def identity(self) -> np.ndarray:
        if self._identity is None:
            raise BenchError(
                "images that are to be matched have no identity: who they show is what a method must find out;"
                " labels are for fit, on training people"
            )
        return self._identity

    def __len__(self) -> int:
        return len(self.area)

    def __add__(self, other: "Images") -> "Images":
        split, first, second = len(self), self.native, other.native
        labels = (self._identity, other._identity)
        order = None
        if self._order is not None or other._order is not None:
            order = np.concatenate([positions(self), positions(other) + split])
        return Images(
            self._parts + other._parts,
            None if labels[0] is None or labels[1] is None else np.concatenate([labels[0], labels[1]]),
            np.concatenate([self.camera, other.camera]),
            np.concatenate([self.area, other.area]),
            NativeImages(split + len(other), lambda i: first[i] if i < split else second[i - split]),
            order,
        )

    def select(self, rows: np.ndarray | Sequence[int] | slice) -> "Images":
        """Some of these images, in the order asked for.  rows: integers, a slice, or (n,) bool."""
        rows = np.arange(len(self))[rows]
        chosen, native = positions(self)[rows], self.native
        starts = np.cumsum([0, *(len(part) for _, part in self._parts)])
        part_of = np.searchsorted(starts, chosen, side="right") - 1
        parts = tuple((source, part[chosen[part_of == i] - starts[i]]) for i, (source, part) in enumerate(self._parts))
        order = np.empty(len(rows), np.int64)
        order[np.argsort(part_of, kind="stable")] = np.arange(len(rows))
        in_order = np.array_equal(order, np.arange(len(rows)))
        return Images(
            parts,
            None if self._identity is None else self._identity[rows],
            self.camera[rows],
            self.area[rows],
            NativeImages(len(rows), lambda i: native[int(rows[i])]),
            None if in_order else order,
        )

    def array(self) -> np.ndarray:
        """(n, h, w, 3) uint8 RGB at the method's input size."""
        return self._ordered(np.concatenate([source.array[rows] for source, rows in self._parts]))

    def features(self, extractor: Extractor) -> np.ndarray:
        """(n, d) float32."""
        return self._ordered(np.concatenate([source.features(extractor)[rows] for source, rows in self._parts]))

    def gram(self, other: "Images", extractor: Extractor) -> np.ndarray:
        """(n, n') float64 inner products of these images' features with `other`'s."""
        pairs = [(a, b) for a, _ in self._parts for b, _ in other._parts]
        if any(len(a.features(extractor)) * len(b.features(extractor)) > GRAM_BUDGET for a, b in pairs):
            return wanted_products(self, other, extractor)
        blocks = [
            [a.gram(b, extractor)[np.ix_(rows, columns)] for b, columns in other._parts] for a, rows in self._parts
        ]
        return other._ordered(self._ordered(np.block(blocks)).T).T

    def _ordered(self, rows: np.ndarray) -> np.ndarray:
        return rows if self._order is None else rows[self._order]


def positions(images: Images) -> np.ndarray:
    """(n,) where each image stands among its parts, one after the other."""
    return np.arange(len(images)) if images._order is None else images._order


def wanted_products(images: Images, others: Images, extractor: Extractor) -> np.ndarray:
    """Their Gram matrix where that of their sources is too large: computed for these images, straight into its place.

    Of a selection with itself one triangle is computed.
    """
    out = np.empty((len(images), len(others)))
    columns = list(tiles(others))
    for count, (i, a, rows) in enumerate(tiles(images), 1):
        wide = a.features(extractor)[rows].astype(np.float64)
        for j, b, some in columns[: count - 1] if images is others else columns:
            tile = products.tile_product(wide, b.features(extractor)[some])
            out[np.ix_(i, j)] = tile
            if images is others:
                out[np.ix_(j, i)] = tile.T
        if images is others:
            out[np.ix_(i, i)] = products.own_product(wide)
    return out


def tiles(images: Images) -> Iterator[tuple[np.ndarray, Source, np.ndarray]]:
    """Some of the images at a time, all of one source: where they stand, the source and its rows."""
    places, start = np.argsort(positions(images)), 0
    for source, rows in images._parts:
        for first in range(0, len(rows), products.TILE):
            some = rows[first : first + products.TILE]
            yield places[start : start + len(some)], source, some
            start += len(some)


class Packed(Sequence[np.ndarray]):
    """Images of any size in one flat uint8 array, which processes share as a memory map."""

    def __init__(self, flat: np.ndarray, shapes: np.ndarray) -> None:
        self.flat = flat
        self.shapes = shapes
        self.offsets = np.concatenate([[0], np.cumsum(shapes.prod(axis=1) * 3)])

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int or slice, like any sequence
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        return self.flat[self.offsets[i] : self.offsets[i + 1]].reshape(*self.shapes[i], 3)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def areas(self) -> np.ndarray:
        return self.shapes.prod(axis=1).astype(np.float64)


def pack(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Flat blocks, to be written one after the other, of uint8 RGB images: pixels, then all shapes (int64 bytes)."""
    shapes = []
    for image in images:
        shapes.append(image.shape[:2])
        yield image.reshape(-1)
    yield np.array(shapes, np.int64).reshape(-1).view(np.uint8)


def unpack(flat: np.ndarray, n: int) -> Packed:
    """The n images that `pack` made one flat array of."""
    pixels = len(flat) - n * 2 * np.dtype(np.int64).itemsize
    return Packed(flat[:pixels], np.array(flat[pixels:]).view(np.int64).reshape(n, 2))


def digest(*parts: object) -> str:
    """A short name for anything with a faithful repr, arrays by their bytes."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        sha.update(b"|")
    return sha.hexdigest()[:16]
