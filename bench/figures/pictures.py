"""The images of a data set for figures: loaded where it is there, chosen by name, drawn as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bench.engine import stocktaking
from bench.engine.cache import Cache, cache_folder
from bench.engine.data import Data, arranged, list_photos, load, originals
from bench.engine.freshness import stale
from bench.engine.inventory import Inventory
from bench.engine.isolation import isolated
from bench.engine.store import Result
from bench.errors import DataError, UsageError, listing
from bench.figures.request import Request
from bench.figures.text import POINTS, plain
from bench.plugin.base import Photo
from bench.plugin.spec import dataset_spec
from bench.report.one import command


@dataclass(frozen=True)
class Frame:
    """A line around an image, in points.  away: how far from it."""

    colour: str
    width: float
    dashes: Any = "solid"
    away: float = 0.0


RIGHT, WRONG = Frame("#0072B2", 1.6, away=1.6), Frame("#D55E00", 0.7, (0, (2.2, 1.4)))
"""Told apart by width, dashes and the gap as well."""


@dataclass(frozen=True)
class Pictures:
    """A data set that is there.

    data: as cells have it, probes at low resolution.  photos: as its reader lists them, in the same order.  table: what
    is known of each.
    """

    data: Data
    photos: Sequence[Photo]
    table: Inventory

    @cached_property
    def taken(self) -> Sequence[np.ndarray]:
        """The images as they were taken, in the same order."""
        return originals(self.photos, self.data.spec.build().name, Cache(cache_folder()))[1]

    def name(self, row: int) -> str:
        """Of an image's file; ``person 0042, camera a`` of one that is no file."""
        photo = self.table.images[row]
        return plain(photo.name or f"person {photo.identity}, camera {photo.camera}")

    def size(self, row: int) -> str:
        """``16×43``, width first, and the ratio that it was shrunk by."""
        photo = self.table.images[row]
        return f"{photo.width}×{photo.height}{f', {photo.ratio}' if photo.ratio else ''}"

    def chosen(self, wanted: Sequence[str], rows: np.ndarray) -> list[int]:
        """Those of some rows that are asked for, each by its file, by ``#`` and its row, or by whom it shows.

        UsageError for a word that is none of them.
        """
        found: list[int] = []
        for word in wanted:
            mine = [int(row) for row in rows if word in self._words(int(row))]
            if not mine:
                there = listing([sorted(self._words(int(row)), key=len)[-1] for row in rows], 3)
                raise UsageError(f"--probe {word}: no probe's file or person; there is {there}")
            found += [row for row in mine if row not in found]
        return found

    def _words(self, row: int) -> set[str]:
        photo = self.table.images[row]
        return {f"#{row}", photo.identity, *({photo.name, photo.name.rpartition("/")[2]} if photo.name else ())}


def load_pictures(request: Request, dataset: str) -> Pictures:
    """The images of a data set; UsageError for an unknown name, DataError where it is not there."""
    with isolated():
        spec = dataset_spec(dataset)
        own = spec.build()
        cache = Cache(cache_folder())
        photos = arranged(list_photos(own, request.data))
        data = load(spec, request.data, request.seed, cache, photos)
        return Pictures(data, photos, stocktaking.take(data, request.data, request.seed, photos))


def check_data(pictures: Pictures, result: Result, dataset: str) -> None:
    """DataError where a cell was computed on other images, labels or splits than there are."""
    cell = result.cell
    if pictures.data.digest != cell.data:
        again = command(cell.method, dataset, [cell.split], cell.seed, cell.profile)
        raise DataError(f"{dataset} has other images, labels or splits than when {cell} was computed; `{again}`")


def named(result: Result) -> str:
    """A cell in words, and whether it is stale."""
    changed = "; ".join(stale(result))
    words = f"{result.cell}, seed {result.cell.seed}, schedule {result.cell.profile}"
    return plain(f"{words}, stale ({changed})" if changed else words)


def only(names: Sequence[str], what: str) -> str:
    """The one name that a figure needs; UsageError for none or several."""
    if len(names) != 1:
        raise UsageError(f"this figure is of one {what}: name it with {'-d' if what == 'data set' else '-m'}")
    return names[0]


def show(axes: Axes, image: np.ndarray) -> None:
    """An image that fills its axes, its pixels to be seen."""
    axes.imshow(image, aspect="auto", interpolation="nearest")
    axes.set_axis_off()


def enclose(axes: Axes, frame: Frame, width: float, height: float) -> None:
    """Put a frame around axes of so many inches."""
    x, y = (frame.away / POINTS / side for side in (width, height))
    style = {"edgecolor": frame.colour, "linewidth": frame.width, "linestyle": frame.dashes, "fill": False}
    place = (-x, -y), 1 + 2 * x, 1 + 2 * y
    axes.add_patch(Rectangle(*place, transform=axes.transAxes, clip_on=False, **style))


def fitted(image: np.ndarray, width: float, height: float) -> tuple[float, float]:
    """The width and height, in inches, of an image as large as fits."""
    scale = min(width / image.shape[1], height / image.shape[0])
    return scale * image.shape[1], scale * image.shape[0]
