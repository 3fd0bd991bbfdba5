"""What images a data set holds, as facts without pixels: a table of a store, beside the cells of that data.

``DATASET/images-DIGEST.json`` has side, person, camera, size, down-sampling ratio and name of every image as the
protocol sees it, probes at their low resolution, and the splits of a data set that has its own.  With it whoever has
cells knows which probe each of their ranks is of, without the images.  Files may come from strangers, as cells may.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from bench.engine.identity import Cell
from bench.engine.record import Index, Versioned, check_format
from bench.engine.store import LARGEST_FILE, Store, cannot_write
from bench.errors import BenchError, DataError, counted
from bench.files import read_regular, safe_name, write_atomically
from bench.protocol.fusion import ANCHORS
from bench.protocol.splits import Split, check_split, make_split

FORMAT = 1
DIGITS = 16
"""Of the data's digest, in a file's name."""

Length = Annotated[int, Meta(ge=1, le=10**5)]
Label = Annotated[str, Meta(max_length=1000)]


SIDES = ("probe", "gallery", "distractor")


class Photo(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An image.  side: a distractor is in every gallery and nobody's match.  height, width: pixels.  ratio: that a
    probe was shrunk by, empty where it was not.  name: of its file, empty where it has none."""

    side: Literal["probe", "gallery", "distractor"]
    identity: Label
    camera: Label
    height: Length
    width: Length
    ratio: Label
    name: Label


class Inventory(msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True):
    """Every image of a data set, in the order in which the protocol numbers them.

    data: digest, as in cells.  splits: of a data set that has its own, or of its split file: number -> indices of
    training and of test people; None where splits are drawn.
    """

    format: int
    dataset: str
    data: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    splits: dict[Index, tuple[tuple[Index, ...], tuple[Index, ...]]] | None
    images: Annotated[tuple[Photo, ...], Meta(min_length=2)]

    def __post_init__(self) -> None:
        known = {"", *map(str, ANCHORS)}
        if wrong := next((photo for photo in self.images if photo.ratio not in known), None):
            raise ValueError(f"ratio {wrong.ratio!r}; known are {', '.join(map(str, ANCHORS))}")
        sides = {side: {p.identity for p in self.images if p.side == side} for side in SIDES}
        if sides["probe"] != sides["gallery"] or sides["distractor"] & sides["gallery"]:
            raise ValueError("every person needs images on both sides, and a distractor on the gallery's alone")
        for train, test in (self.splits or {}).values():
            if max((*train, *test), default=0) >= len(self.people):
                raise ValueError(f"a split names person {max(*train, *test)} of {counted(len(self.people), 'person')}")

    @cached_property
    def people(self) -> tuple[str, ...]:
        """Labels, without distractors: a person's index is the place here."""
        return tuple(dict.fromkeys(p.identity for p in self.images if p.side != "distractor"))

    @cached_property
    def identity(self) -> np.ndarray:
        """(n,) int64: each image's person, then distractors."""
        order = {label: i for i, label in enumerate(self.people)}
        for photo in self.images:
            order.setdefault(photo.identity, len(order))
        return np.array([order[photo.identity] for photo in self.images], np.int64)

    @cached_property
    def side(self) -> np.ndarray:
        """(n,) str."""
        return np.array([photo.side for photo in self.images])

    @cached_property
    def area(self) -> np.ndarray:
        """(n,) float64, in pixels."""
        return np.array([float(photo.height * photo.width) for photo in self.images])

    def split(self, index: int, seed: int) -> Split:
        """Who is in training and test, as when the cell was computed; DataError for a split that there is not."""
        if self.splits is None:
            return make_split(self.people, index, seed)
        if index not in self.splits:
            raise DataError(f"the table of images of {self.dataset} has no split {index}")
        split = Split(*(np.array(part, np.int64) for part in self.splits[index]))
        check_split(split, self.people)
        return split

    def probes(self, split: Split) -> np.ndarray:
        """Rows of a split's probes, in the order of a record's ``probe_ranks``."""
        return np.flatnonzero((self.side == "probe") & np.isin(self.identity, split.test))

    def gallery(self, split: Split) -> np.ndarray:
        """Rows of its gallery side, with distractors."""
        tested = np.isin(self.identity, split.test) & (self.side == "gallery")
        return np.flatnonzero(tested | (self.side == "distractor"))


def path_of(store: Store, dataset: str, data: str) -> Path:
    return store.folder / safe_name(dataset) / safe_name(f"images-{data[:DIGITS]}.json")


def files(store: Store) -> list[Path]:
    """All tables of a store."""
    return sorted(store.folder.glob(f"*/images-{'[0-9a-f]' * DIGITS}.json"))


def find(stores: Iterable[Path], cell: Cell) -> Inventory | None:
    """The table of the data that a cell is of, from the first store that has it; BenchError for an unreadable one."""
    for folder in stores:
        path = path_of(Store(folder), cell.dataset, cell.data)
        if path.exists():
            return read(path)
    return None


def read(path: Path) -> Inventory:
    """Read a table; BenchError, naming it, when it is damaged, of another format, or not what its name says."""
    try:
        content = read_regular(path, LARGEST_FILE, "a table has")
        check_format(path, msgspec.json.decode(content, type=Versioned).format, FORMAT)
        found = msgspec.json.decode(content, type=Inventory)
        if [safe_name(found.dataset), f"images-{found.data[:DIGITS]}.json"] != list(path.parts[-2:]):
            raise ValueError(f"it is of {found.dataset}, data {found.data[:DIGITS]}")
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        reason = " ".join((getattr(error, "strerror", None) or str(error)).split())
        raise BenchError(
            f"{path} is not a readable table of images: {reason}; remove it, a run on its data set writes it again"
        ) from error
    return found


def problems(stores: Iterable[Path]) -> Iterator[str]:
    """A line for each table that cannot be read."""
    for path in (path for folder in stores for path in files(Store(folder))):
        try:
            read(path)
        except BenchError as error:
            yield str(error)


def write(store: Store, inventory: Inventory) -> None:
    """Write a table, an image a line, where there is none yet.

    BenchError, before anything is written, for one that could not be read again.
    """
    head = {name: msgspec.to_builtins(getattr(inventory, name)) for name in ("format", "dataset", "data", "splits")}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    images = ",\n".join(json.dumps(msgspec.to_builtins(photo), ensure_ascii=False) for photo in inventory.images)
    content = ("{\n" + ",\n".join([*lines, f'"images": [\n{images}\n]']) + "\n}\n").encode()
    try:
        msgspec.json.decode(content, type=Inventory)
    except msgspec.MsgspecError as error:
        raise BenchError(f"{inventory.dataset}: {error}") from error
    if len(content) > LARGEST_FILE:
        raise BenchError(f"{inventory.dataset} has {counted(len(inventory.images), 'image')}, too many for one file")
    try:
        path = path_of(store, inventory.dataset, inventory.data)
        with store.images_lock(inventory.data):
            if not path.exists():
                with write_atomically(path) as file:
                    file.write(content)
    except OSError as error:
        raise cannot_write(store.folder, error) from error


def carry(source: Store, target: Store, cell: Cell) -> None:
    """Copy the table of a cell's data into another store that has none; BenchError for an unreadable one."""
    old = path_of(source, cell.dataset, cell.data)
    if old.exists() and not path_of(target, cell.dataset, cell.data).exists():
        write(target, read(old))
