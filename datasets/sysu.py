import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from bench.engine.decode import SUFFIXES
from bench.engine.folders import child
from bench.errors import DataError
from bench.plugin.base import Dataset, Photo

IMAGES = 24446
CAMERAS = ("cam_0", "cam_1")
EACH = 3


class SYSU(Dataset):
    """SYSU (Chen et al., AAAI 2015): 502 people, three random images of each in each of two cameras, full resolution.

    seed: of the choice of images, which all splits share.
    """

    name = "sysu"
    version = 1
    folder = "SYSU"
    other_folders = ("SYSU-reID", "SYSU_reID")
    holds = ("cam_0", "cam_1")
    obtain = (
        "SYSU-reID on request from the authors at Sun Yat-sen University; unpack it so that SYSU/cam_0/00001_00001.jpg"
        " or SYSU/cam_0/00001/00001.jpg exists"
    )
    probe_camera = "cam_0"
    expected: ClassVar = {"images": 3012, "identities": 502}

    def __init__(self, seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0) -> None:
        self.seed = seed

    def read(self, root: Path) -> Iterator[Photo]:
        found = 0
        for index, camera in enumerate(CAMERAS):
            for person, paths in sorted(images_by_person(child(root, camera)).items()):
                found += len(paths)
                rng = np.random.default_rng([self.seed, person, index])
                for i in sorted(rng.permutation(len(paths))[:EACH]):
                    yield Photo(paths[i], str(person), camera)
        if found and found != IMAGES:
            raise DataError(
                f"{self.name}: {root} holds {found:,} images, {IMAGES:,} expected; the copy is incomplete or has extra"
                f" files; get {self.obtain}"
            )


def images_by_person(folder: Path) -> dict[int, list[Path]]:
    """One camera's files, sorted: ``PPPPP_IIIII.jpg``, or any name in a folder ``PPPPP``.

    DataError, naming it, for an image whose name does not say whose it is.
    """
    people: dict[int, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("[!.]*")):  # hidden ones are macOS's
        if path.suffix.lower() not in SUFFIXES:
            continue
        flat = path.parent == folder
        parts = re.fullmatch(r"(\d+)_\d+", path.stem) if flat else re.fullmatch(r"(\d+)", path.parent.name)
        if parts is None or not (flat or path.parent.parent == folder):
            raise DataError(
                f"{path} does not say whose image it is; {folder.name}/00001_00001.jpg or"
                f" {folder.name}/00001/00001.jpg (person, image) expected"
            )
        people[int(parts[1])].append(path)
    return people
