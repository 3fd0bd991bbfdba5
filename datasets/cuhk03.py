import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic import StringConstraints

from bench.engine.folders import candidates, child, contents
from bench.engine.folders import images as image_files
from bench.errors import DataError, counted, listing
from bench.plugin.base import Dataset, Photo
from datasets._cuhk03 import PEOPLE, TEST_SETS, converted

FOLDERS = ("cuhk03", "cuhk03_release", "cuhk03_pair1")
MATS = ("cuhk-03.mat", "cuhk03.mat")
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm")
EXTRACTED = {"labeled": ("labeled", "images_labeled"), "detected": ("detected", "images_detected")}
NAME = re.compile(r"(?P<pair>[1-5])_(?P<person>\d+)_(?P<view>[12])_(?P<image>\d+)\.(jpg|jpeg|png|ppm)", re.IGNORECASE)
TEST_PEOPLE = 100


class CUHK03(Dataset):
    """CUHK03 (Li et al., CVPR 2014): 1,467 people, each seen by one of five camera pairs, at full resolution.

    images: boxes drawn by hand (``labeled``), found by a detector (``detected``), or both, merged in each view.
    pairs: camera pairs joined by ``+``; official test sets are restricted to them.
    seed: of the camera that is the probe side in each pair, and of the test people where the copy has no test sets.

    Split i tests on the release's test set i + 1 and trains on everybody else.  Extracted images alone have no test
    sets: there, 20 random choices of 100 people.  Who has images in one view only is left out.
    """

    name = "cuhk03"
    version = 1
    folder = "."
    obtain = (
        "CUHK03 on request from the Multimedia Laboratory of the Chinese University of Hong Kong; put its file at"
        " cuhk03/cuhk-03.mat, or extracted images at cuhk03/labeled/1_001_1_01.png and cuhk03/detected/1_001_1_01.png"
    )
    note = (
        "1,367 people train and 100 test on the release's test sets; with pairs=1 it is camera pair 1 only, 743 train"
        " and 100 test, which no published number is comparable with; images_per_view names a cap on training images"
    )

    def __init__(
        self,
        images: Literal["both", "labeled", "detected"] = "both",
        pairs: Annotated[str, StringConstraints(pattern=r"^[1-5](\+[1-5])*$")] = "1+2+3+4+5",
        seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0,
    ) -> None:
        self.images = images
        self.pairs = pairs
        self.seed = seed

    def read(self, root: Path) -> Iterator[Photo]:
        views, _ = self._people(root)
        for person, (pair, sides) in views.items():
            probe_view = 1 + int(np.random.default_rng([self.seed, pair, 5]).integers(2))
            for view, paths in sorted(sides.items()):
                for path in paths:
                    yield Photo(path, person, camera=f"{pair}_{view}", probe=view == probe_view)

    def splits(self, root: Path) -> Sequence[tuple[list[str], list[str]]]:
        views, test_sets = self._people(root)
        people = list(views)
        if test_sets is None:
            size = min(TEST_PEOPLE, len(people) // 2)
            generators = [np.random.default_rng([self.seed, len(people), 6, split]) for split in range(TEST_SETS)]
            tests = [set(rng.permutation(people)[:size].tolist()) for rng in generators]
        else:
            tests = [{label(*person) for person in chosen} & set(people) for chosen in test_sets]
        return [([p for p in people if p not in test], sorted(test)) for test in tests]

    def _people(
        self, root: Path
    ) -> tuple[dict[str, tuple[int, dict[int, list[Path]]]], list[list[tuple[int, int]]] | None]:
        """Each person's camera pair and files by view, of those with both views; and the official test sets if any."""
        base, test_sets = self._copy(root)
        pairs = sorted({int(pair) for pair in self.pairs.split("+")})
        everybody: dict[int, set[int]] = {pair: set() for pair in pairs}
        found: dict[tuple[int, int], dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
        for kind, names in EXTRACTED.items():
            folder = next((path for name in names if (path := child(base, name)).is_dir()), None)
            wanted = self.images in ("both", kind)
            if folder is None and wanted:
                raise DataError(
                    f"{self.name}: no folder {base / names[0]} ({' or '.join(names)}); without {kind} images, say which"
                    f" there are: {self.name}[images={'detected' if kind == 'labeled' else 'labeled'}]"
                )
            for path in image_files(folder, SUFFIXES) if folder else ():
                parts = NAME.fullmatch(path.name)
                if parts is None:
                    raise DataError(f"{self.name}: {path} is not named pair_person_view_image, such as 1_001_1_01.png")
                pair, person = int(parts["pair"]), int(parts["person"])
                if pair in everybody:
                    everybody[pair].add(person)
                    if wanted:
                        found[pair, person][int(parts["view"])].append(path)
        self._check(base, everybody)
        views = {label(*key): (key[0], dict(sides)) for key, sides in sorted(found.items()) if len(sides) == 2}
        return views, test_sets

    def _copy(self, root: Path) -> tuple[Path, list[list[tuple[int, int]]] | None]:
        """The folder that holds the copy's images by kind, and its test sets.

        The official file comes first, wherever it lies: extracted images beside it have no test sets.
        """
        places = list(candidates(root, FOLDERS))
        for mat in (child(folder, name) for folder in places for name in MATS):
            if mat.is_file():
                return converted(mat)
        names = [name for names in EXTRACTED.values() for name in names]
        for folder in places:
            if any(child(folder, name).is_dir() for name in names):
                return folder, None
        raise DataError(
            f"{self.name}: no {root / FOLDERS[0] / MATS[0]} nor extracted images; get {self.obtain}; {contents(root)}"
        )

    def _check(self, base: Path, everybody: dict[int, set[int]]) -> None:
        """All people of every camera pair that is asked for must be there."""
        missing = [str(pair) for pair, people in everybody.items() if not people]
        if missing:
            there = [str(pair) for pair in everybody if str(pair) not in missing]
            hint = f"; [pairs={'+'.join(there)}] runs on what is there" if there else ""
            raise DataError(f"{self.name}: {base} has nobody of camera pairs {listing(missing)}{hint}")
        for pair, people in everybody.items():
            if len(people) != PEOPLE[pair]:
                raise DataError(
                    f"{self.name}: {base} has {counted(len(people), 'person')} of camera pair {pair},"
                    f" {PEOPLE[pair]:,} expected; the copy is incomplete or has extra files"
                )


def label(pair: int, person: int) -> str:
    return f"{pair}_{person:03d}"
