"""Ranked lists of a stored cell: from numbers back to the images of its data set."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.engine.cache import Cache
from bench.engine.data import Data, arranged, list_photos, load
from bench.engine.store import Result
from bench.errors import DataError
from bench.plugin.base import Photo
from bench.plugin.spec import DatasetSpec


@dataclass(frozen=True)
class Ranked:
    """Every probe of a cell with its nearest gallery images, as rows of the data set.

    probe: (P,) int64.  gallery: (P, k) int64, nearest first, one image of each person.  right: (P, k) bool, whether an
    image shows the probe's person.  rank: (P,) float64, expected rank of the probe's match.
    """

    probe: np.ndarray
    gallery: np.ndarray
    right: np.ndarray
    rank: np.ndarray


def ranked_lists(result: Result, data: Data) -> Ranked:
    """The lists of a cell that keeps them.  DataError where the images are not those that it was computed on."""
    cell, record = result.cell, result.finished
    if data.digest != cell.data:
        raise DataError(f"{data.spec.text} has other images, labels or splits than when {cell} was computed")
    tested = np.concatenate([data.split(cell.split, cell.seed).test, data.distractor_people])
    chosen = np.isin(data.identity, tested)
    probe, gallery = np.flatnonzero(chosen & data.probe), np.flatnonzero(chosen & ~data.probe)
    lists, ranks = np.array(record.nearest, np.int64), np.array(record.probe_ranks)
    if not len(lists) == len(ranks) == len(probe) or lists.max() >= len(gallery):
        raise DataError(f"{result.path} has lists of other probes or gallery images than {data.spec.text} has")
    listed = gallery[lists]
    return Ranked(probe, listed, data.identity[listed] == data.identity[probe][:, None], ranks)


def load_with_names(spec: DatasetSpec, root: Path | None, seed: int, cache: Cache) -> tuple[Data, list[str]]:
    """A data set, and a name for each of its images; DataError as `load`."""
    photos = list_photos(spec.build(), root)
    return load(spec, root, seed, cache, photos), names_of(arranged(photos))


def names_of(photos: Sequence[Photo]) -> list[str]:
    """Each photo's file, below the folder that holds all of them; ``#17`` for the one of row 17 that is no file."""
    files = [photo.image.resolve() for photo in photos if isinstance(photo.image, Path)]
    base = os.path.commonpath([file.parent for file in files]) if files else ""
    return [
        photo.image.resolve().relative_to(base).as_posix() if isinstance(photo.image, Path) else f"#{row}"
        for row, photo in enumerate(photos)
    ]
