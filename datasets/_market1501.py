"""Market-1501's files: names, cameras and the training part."""

from collections.abc import Iterator
from pathlib import Path

from bench.errors import DataError
from bench.plugin.base import Photo
from datasets._layout import named_images

PARTS = {"bounding_box_train": 12_936, "query": 3_368, "bounding_box_test": 19_732}
"""Images in each folder of Market-1501-v15.09.15."""
TRAINING_PEOPLE, TEST_PEOPLE = 751, 750


def training_images(
    root: Path, images: int = PARTS["bounding_box_train"], people: int = TRAINING_PEOPLE
) -> list[Photo]:
    """The training part of Market-1501 (Zheng et al., ICCV 2015), for pre-training a network.

    root: the set's own folder, which holds ``bounding_box_train``.  images, people: the counts that it must have, by
    default the official ones.  Returns one `Photo` per image in the order of the file names: `image` the file's path,
    `identity` the person's number without leading zeros, `camera` ``"1"`` to ``"6"``, `probe` None.

    DataError when the folder is missing, a name is not of the release's form, or a count is not the one asked for.
    """
    photos = [
        Photo(path, str(int(person)), camera) for path, person, camera in read_part(root, "bounding_box_train", images)
    ]
    found = len({photo.identity for photo in photos})
    if found != people:
        raise DataError(
            f"{root / 'bounding_box_train'} has {found:,} people, {people:,} expected; the copy is"
            " incomplete or has extra files"
        )
    return photos


def read_part(root: Path, part: str, images: int) -> Iterator[tuple[Path, str, str]]:
    """(path, person, camera) of every image of one folder of the release, which must hold `images` of them.

    person: as in the name, ``0000`` for a distractor and ``-1`` for junk.
    """
    found = list(named_images(root / part, r"(-1|\d{4})_c([1-6])s\d+_\d+_\d+\.jpg", "0002_c1s1_000451_03.jpg"))
    if len(found) != images:
        raise DataError(
            f"{root / part} has {len(found):,} images, {images:,} expected; the copy is incomplete or has extra files"
        )
    return ((path, match[1], match[2]) for path, match in found)
