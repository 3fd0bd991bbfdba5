"""Distances of a fitted method in blocks: each image is embedded once, what is compared are rows of numbers."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.engine.cache import Cache
from bench.engine.view import Matched, View
from bench.errors import BenchError
from bench.plugin.base import Method
from bench.protocol.blocks import GALLERY, PROBES, Part, cut
from bench.protocol.images import Images
from bench.protocol.scoring import Trial
from bench.protocol.streaming import Side, all_finite

PAIRS = "probes, gallery"
EMBEDDED = 4096
"""Images that a method is asked to embed at a time."""


@dataclass(frozen=True)
class Embedded:
    """One side.  rows: (n, ...) of its distinct images, which `side` has the positions of."""

    rows: np.ndarray
    side: Side


@dataclass(frozen=True)
class Pairs:
    """All pairs of two sides, by a fitted method."""

    method: Method
    probe: Embedded
    gallery: Embedded

    def block(self, some: Part, others: Part) -> np.ndarray:
        """Distances of the images asked of two parts, (a, b) float32 or float64, all finite."""
        rows = self.probe.rows[some.asked], self.gallery.rows[others.asked]
        given = numbers(f"{self.method.name}.between", self.method.between(*rows), (len(rows[0]), len(rows[1])), PAIRS)
        finite(f"{self.method.name}.between", given)
        return given if given.dtype in (np.float32, np.float64) else given.astype(np.float64)

    def whole(self) -> np.ndarray:
        """(probes, gallery) float64, in the data set's order."""
        probe, gallery = self.probe.side, self.gallery.side
        out = np.empty((len(probe.position), len(gallery.position)))
        for some in probe.parts:
            for others in gallery.parts:
                block = self.block(some, others)
                out[np.ix_(some.shown, others.shown)] = block[np.ix_(some.place, others.place)]
        return out


def embeds(kind: type[Method]) -> bool:
    """Whether a method compares images by rows that it embeds them in, whatever the others are."""
    return kind.embed is not Method.embed and kind.distances is Method.distances and not kind.transductive


def one_block(probe: Matched, gallery: Matched) -> bool:
    return len(probe.images) <= PROBES and len(gallery.images) <= GALLERY


def embed(method: Method, side: str, given: Matched, identity: np.ndarray, folder: Path | None = None) -> Embedded:
    """Embed one side, ``probe`` or ``gallery``.  identity: (n,) of its images.  folder: for a file that holds the rows
    instead of memory."""

    def rows() -> Iterator[np.ndarray]:
        return embedded(method, given.images, side)

    parts = cut(given.position, PROBES) if side == "probe" else cut(given.position, GALLERY, identity)
    kept = np.concatenate(list(rows())) if folder is None else Cache(folder).rows(side, rows)
    return Embedded(kept, Side(identity, given.position, parts))


def embedded(method: Method, images: Images, side: str) -> Iterator[np.ndarray]:
    """A side's rows, EMBEDDED images at a time; BenchError where they are not a finite number each."""
    where, kind = f"{method.name}.embed", None
    for start in range(0, len(images), EMBEDDED):
        some = images.select(slice(start, start + EMBEDDED))
        given = method.embed(some, side)
        rows = finite(where, numbers(where, given, (len(some), *np.shape(given)[1:]), "images, ..."))
        if kind not in (None, (rows.dtype, rows.shape[1:])):
            raise BenchError(f"{where} returned rows of {rows.shape[1:]} {rows.dtype} after others of {kind}")
        kind = rows.dtype, rows.shape[1:]
        yield rows


def numbers(where: str, given: object, shape: tuple[int, ...], axes: str) -> np.ndarray:
    """An array of that shape; BenchError, saying whose it is, where it is not one of real numbers.

    axes: what the shape counts, in words.
    """
    rows = given if isinstance(given, list | tuple) else [given]
    if any(isinstance(row, np.ma.MaskedArray) for row in rows):
        raise BenchError(f"{where} returned a masked array; a plain one, with a number at every place, expected")
    found = np.asarray(given)
    if found.shape != shape:
        raise BenchError(f"{where} returned shape {found.shape}; {shape} ({axes}) expected")
    if found.dtype.kind not in "fiu" or found.dtype.itemsize > 8:
        raise BenchError(f"{where} returned {found.dtype}; real numbers of at most 64 bits expected")
    return found


def finite(where: str, given: np.ndarray) -> np.ndarray:
    """The same; BenchError where a number is NaN or infinite."""
    if not all_finite(given):
        bad = int((~np.isfinite(given)).sum())
        raise BenchError(f"{where} returned {bad} values that are NaN or infinite; all must be finite")
    return given


@contextmanager
def blocks_folder(view: View, trial: Trial, cache: Cache) -> Iterator[Path | None]:
    """A folder for the rows of a cell whose distances would take more memory than it may; None for other cells.

    BenchError where they cannot be computed block by block.
    """
    needed = bytes_of(trial, len(view.ratios))
    if view.setup.memory is None or needed <= view.setup.memory:
        yield None
        return
    method = view.spec.build()
    size = f"{len(trial.probe):,} probes and {len(trial.gallery):,} gallery images take {shown(needed)}"
    more = f"{size} of distances, --memory allows {shown(view.setup.memory)} a cell"
    if view.spec.options.normalise:
        raise BenchError(f"{more}, and normalise=true needs all of them at once; raise --memory")
    if not embeds(type(method)):
        raise BenchError(
            f"{more}, and {method.name} has no embed and between, by which they could be looked at in parts"
        )
    with cache.writing():
        cache.folder.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="rows-", dir=cache.folder)
    with folder as name:
        yield Path(name)


def check_room(view: View, trial: Trial) -> None:
    """BenchError where choosing sigma takes more memory than a cell may."""
    needed, allowed = bytes_of(trial, len(view.ratios)), view.setup.memory
    if allowed is not None and needed > allowed:
        raise BenchError(
            f"choosing sigma on held-out training people takes {shown(needed)} of distances, --memory allows"
            f" {shown(allowed)} a cell; raise it or give sigma=0.25"
        )


def bytes_of(trial: Trial, models: int) -> int:
    """What the distances of a cell take at most: of each model, two fused, and one while they are summed."""
    return (models + 3) * len(trial.probe) * len(trial.gallery) * 8


def shown(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
