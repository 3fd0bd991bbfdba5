"""Market-1501's files: names, cameras and the training part."""

import re
from collections.abc import Iterator
from pathlib import Path

from bench.base import Photo
from bench.errors import DataError

TRAINING_IMAGES, TRAINING_PEOPLE = 12_936, 751
NAME = re.compile(r"(?P<person>-1|\d{4})_c(?P<camera>[1-6])s\d+_\d+_\d+\.jpg")


def training_images(root: Path, images: int = TRAINING_IMAGES, people: int = TRAINING_PEOPLE) -> list[Photo]:
    """The training part of Market-1501 (Zheng et al., ICCV 2015), for pre-training a network.

    root: the set's own folder, which holds ``bounding_box_train``.  images, people: the counts it must have, by default
    the official ones.  Returns one `Photo` per image in the order of the file names: `image` the file's path, `identity`
    the person's number without leading zeros, `camera` ``"1"`` to ``"6"``, `probe` None.

    DataError when the folder is missing, a name is not of the release's form, or a count is not the one asked for.
    """
    photos = [Photo(path, str(int(person)), camera) for path, person, camera in files(root / "bounding_box_train")]
    for word, found, expected in (
        ("images", len(photos), images),
        ("people", len({photo.identity for photo in photos}), people),
    ):
        if found != expected:
            raise DataError(
                f"Market-1501: {root / 'bounding_box_train'} has {found:,} {word}, {expected:,} expected; the copy is"
                " incomplete or has extra files"
            )
    return photos


def files(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """(path, person, camera) of every image of one part, in the order of names.

    person: four digits as in the name, ``0000`` for a distractor and ``-1`` for junk.
    """
    if not folder.is_dir():
        raise DataError(f"Market-1501: no folder {folder}; unpack Market-1501-v15.09.15 whole")
    for path in sorted(folder.glob("*.jpg")):
        match = NAME.fullmatch(path.name)
        if match is None:
            raise DataError(f"Market-1501: {path} is not named as in the release, such as 0002_c1s1_000451_03.jpg")
        yield path, match["person"], match["camera"]
