"""Writing the tables of images (`bench.engine.inventory`) that a store lacks, from data sets that are there."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.engine import inventory
from bench.engine.data import Data, arranged, list_photos, probe_ratios
from bench.engine.folders import folder_of
from bench.engine.inventory import Inventory, Photo
from bench.engine.isolation import isolated
from bench.engine.plan import MOST_SPLITS, Settings, Task
from bench.errors import DataError, StorageError
from bench.plugin.base import Photo as Taken
from bench.plugin.locate import describe
from bench.protocol.splits import read_rows


def write_missing(tasks: Sequence[Task], settings: Settings) -> Iterator[str]:
    """Write the tables of the tasks' data sets that the store of a run lacks; a line for each that cannot be."""
    for place, data in {(task.cell.dataset, task.cell.data): task.data for task in tasks}.items():
        if inventory.path_of(settings.store, *place).exists():
            continue
        try:
            with isolated():
                table = take(data, settings.root, settings.seed)
            inventory.write(settings.store, table)
        except (KeyboardInterrupt, StorageError):
            raise
        except BaseException as error:  # a reader is a plug-in: no cell is lost for what it raises now
            yield f"no table of images of {data.spec.text}: {describe(error)}"


def take(data: Data, root: Path | None, seed: int, photos: Sequence[Taken] | None = None) -> Inventory:
    """The table of a data set; DataError where its reader yields other images than when it was loaded.

    photos: in order, where they have been listed already.
    """
    dataset = data.spec.build()
    photos = arranged(list_photos(dataset, root)) if photos is None else photos
    labels = (*data.identities, *data.distractors)
    loaded = [(labels[i], camera) for i, camera in zip(data.identity, data.camera.tolist(), strict=True)]
    if [(photo.identity, str(photo.camera)) for photo in photos] != loaded:
        raise DataError(f"{dataset.name}: its reader yields other images than before")
    simulated = dataset.low_resolution == "simulated"
    drawn = map(str, probe_ratios(data.spec, photos, data.probe, seed) if simulated else ())
    folder = folder_of(dataset, root)
    images = [
        Photo(
            "distractor" if photo.distractor else "probe" if low else "gallery",
            photo.identity,
            str(photo.camera),
            height,
            width,
            next(drawn, "") if low else "",
            name_of(photo, folder),
        )
        for photo, low, (height, width) in zip(photos, data.probe, data.images.shapes.tolist(), strict=True)
    ]
    return Inventory(inventory.FORMAT, data.spec.identity, data.digest, own_splits(data, seed), tuple(images))


def own_splits(data: Data, seed: int) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]] | None:
    """The official splits, or those of the split file, as indices of people; None where splits are drawn."""
    if file := data.spec.options.split_file:
        named = {row["split"] for _, row in read_rows(file, ("split",))}
        numbers = [number for number in range(MOST_SPLITS) if str(number) in named]
    elif data.splits is not None:
        numbers = list(range(len(data.splits)))
    else:
        return None
    splits = {}
    for number in numbers:
        try:
            split = data.split(number, seed)
        except DataError:  # of a file that is wrong for this split, no cell can be
            continue
        splits[number] = (tuple(split.train.tolist()), tuple(split.test.tolist()))
    return splits


def name_of(photo: Taken, folder: Path) -> str:
    """A photo's file below the data set's folder, or with the folder that it lies in; nothing of the machine's."""
    if not isinstance(photo.image, Path):
        return ""
    path = photo.image
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else "/".join(path.parts[-2:])
