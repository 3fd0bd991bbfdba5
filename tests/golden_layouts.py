"""Tiny copies of data sets in their official layouts: few people, files without content where only names are read."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image
from scipy.io import savemat

PEOPLE = 5


@contextmanager
def lay_out(dataset: Any, root: Path) -> Iterator[None]:
    """Write a copy below `root`, the data set's own folder, and lower its official counts to it."""
    with ExitStack() as stack:
        for cls in type(dataset).__mro__:
            if make := LAYOUTS.get(vars(cls).get("name", "")):
                make(dataset, root, stack)
                break
        yield


def touch(root: Path, names: Iterable[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def viper(dataset: Any, root: Path, stack: ExitStack) -> None:
    touch(root, (f"cam_{c}/{p:03d}_{45 * (c == 'b')}.bmp" for c in "ab" for p in range(PEOPLE)))


def caviar(dataset: Any, root: Path, stack: ExitStack) -> None:
    for person, images in ((1, 20), (2, 20), (3, 10)):
        for k in range(images):
            close = (k < 10) != (person == 2)
            Image.new("RGB", (20, 50) if close else (8, 20)).save(root / f"{person:04d}{k + 1:03d}.jpg")


def cuhk01(dataset: Any, root: Path, stack: ExitStack) -> None:
    touch(root, (f"campus/{p:04d}{k:03d}.png" for p in range(1, PEOPLE) for k in range(1, 5)))


def prid450s(dataset: Any, root: Path, stack: ExitStack) -> None:
    touch(root, (f"cam_{c}/img_{p:03d}.png" for c in "ab" for p in range(1, PEOPLE)))


def ilids(dataset: Any, root: Path, stack: ExitStack) -> None:
    touch(root, (f"Persons/{p:04d}{k:03d}.jpg" for p in range(1, PEOPLE) for k in range(1, 3 + p)))


def grid(dataset: Any, root: Path, stack: ExitStack) -> None:
    touch(root, (f"probe/{p:04d}_1_25004_107_32_106_221.jpeg" for p in range(1, 5)))
    touch(root, (f"gallery/{p:04d}_2_25023_116_134_128_330.jpeg" for p in range(1, 5)))
    touch(root, (f"gallery/0000_{k}_{k}_1_2_3_4.jpeg" for k in range(1, 4)))
    dataset.expected = {"images": 11, "identities": 4}
    cells = np.empty((1, 2), object)
    for index, people in enumerate(([1, 2], [4, 1])):
        cells[0, index] = {"probe": np.array([[1]]), "gallery": np.array([[1]]), "train": np.array([people])}
    savemat(root / "features_and_partitions.mat", {"trainIdxAll": cells})


def market1501(dataset: Any, root: Path, stack: ExitStack) -> None:
    files = {
        "bounding_box_train": [f"{p:04d}_c{c}s1_000451_0{k}.jpg" for p in (2, 7) for c in (1, 3, 6) for k in (1, 2)],
        "query": [f"{p:04d}_c{c}s1_000551_00.jpg" for p in (3, 5) for c in (2, 4)],
        "bounding_box_test": [f"{p}_c{c}s2_000651_01.jpg" for p in ("0003", "0005", "0000", "-1") for c in (1, 2, 4)],
    }
    for folder, names in files.items():
        touch(root / folder, names)
    dataset.parts = {folder: len(names) for folder, names in files.items()}
    dataset.training_people = 2


def sysu(dataset: Any, root: Path, stack: ExitStack) -> None:
    names = [f"cam_{c}/{p:05d}_{k:05d}.jpg" for c in (0, 1) for p in range(1, PEOPLE) for k in range(1, 4 + p)]
    touch(root, names)
    stack.enter_context(patch("datasets.sysu.IMAGES", len(names)))


def cuhk03(dataset: Any, root: Path, stack: ExitStack) -> None:
    people = dict.fromkeys(range(1, 6), 3)
    for kind in ("labeled", "detected"):
        touch(
            root / "cuhk03" / kind,
            (f"{pair}_{p:03d}_{v}_{k:02d}.png" for pair in people for p in (1, 2, 3) for v in (1, 2) for k in (1, 3)),
        )
    stack.enter_context(patch("datasets.cuhk03.PEOPLE", people))


def manifest(dataset: Any, root: Path, stack: ExitStack) -> None:
    rows = [f"{p}{c}.png,{p},{c},{'train' if p < 3 else 'test'}" for p in range(1, PEOPLE) for c in "ab"]
    for row in rows:
        (root / row.split(",")[0]).write_bytes(b"an image")
    dataset.file = root / "people.csv"
    dataset.file.write_text("\n".join(["path,person,camera,split", *rows]))


LAYOUTS = {f.__name__: f for f in (viper, caviar, cuhk01, prid450s, ilids, grid, market1501, sysu, cuhk03, manifest)}
