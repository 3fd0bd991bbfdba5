from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from bench.engine.folders import child
from bench.errors import DataError
from bench.plugin.base import Dataset, Photo
from datasets._market1501 import PARTS, TEST_PEOPLE, TRAINING_PEOPLE, read_part, training_images


class Market1501(Dataset):
    """Market-1501 (Zheng et al., ICCV 2015): 1,501 people, six cameras, its one official split, single-shot.

    One camera of each person, drawn by `seed` among those with a query image, is the probe side: of the test people
    its query image is the probe, and the images of the other cameras in ``bounding_box_test`` are the gallery side, so
    that no probe meets an image of its own camera.  The training people's images are parted in the same way.
    Distractors (0000) are in every gallery, each as a person of its own; junk (-1) is left out.
    """

    name = "market1501"
    version = 1
    folder = "Market-1501-v15.09.15"
    other_folders = ("Market-1501", "Market1501")
    holds = ("bounding_box_train",)
    obtain = (
        "Market-1501-v15.09.15 from Liang Zheng's project page; unpack it so that"
        " Market-1501-v15.09.15/bounding_box_train, query and bounding_box_test exist"
    )
    terms = "free download for academic research"
    cameras = 6
    note = "single-shot with one probe camera per person: not comparable with the set's own multi-shot evaluation"
    expected = {"identities": TRAINING_PEOPLE + TEST_PEOPLE}
    parts: ClassVar[dict[str, int]] = PARTS
    """Images in each folder."""
    training_people: ClassVar[int] = TRAINING_PEOPLE

    def __init__(self, seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0) -> None:
        self.seed = seed

    def read(self, root: Path) -> Iterator[Photo]:
        photos = training_images(root, self.parts["bounding_box_train"], self.training_people)
        probe_camera = self.draw_cameras((photo.identity, photo.camera) for photo in photos)
        for photo in photos:
            yield Photo(photo.image, photo.identity, photo.camera, probe=photo.camera == probe_camera[photo.identity])
        if missing := [part for part in self.parts if not child(root, part).is_dir()]:
            raise DataError(
                f"{self.name}: the test part is missing ({' and '.join(missing)} in {root}); the training part is there"
                f" ({len(photos):,} images of {self.training_people:,} people), enough for pre-training only"
            )
        queries = list(read_part(root, "query", self.parts["query"]))
        probe_camera = self.draw_cameras((person, camera) for _, person, camera in queries)
        for path, person, camera in queries:
            if camera == probe_camera[person]:
                yield Photo(path, str(int(person)), camera, probe=True)
        for path, person, camera in read_part(root, "bounding_box_test", self.parts["bounding_box_test"]):
            if person == "0000":
                yield Photo(path, f"0000 {path.stem}", camera, distractor=True)
            elif person != "-1" and camera != probe_camera.get(person):
                yield Photo(path, str(int(person)), camera, probe=False)

    def training(self, root: Path) -> list[Photo]:
        """The training part, which needs no test folders."""
        return training_images(root, self.parts["bounding_box_train"], self.training_people)

    def draw_cameras(self, seen: Iterable[tuple[str, str]]) -> dict[str, str]:
        """For each person one of the cameras that saw them.  seen: (person, camera)."""
        cameras: dict[str, set[str]] = defaultdict(set)
        for person, camera in seen:
            cameras[person].add(camera)
        return {
            person: str(np.random.default_rng([self.seed, int(person)]).choice(sorted(of)))
            for person, of in cameras.items()
        }

    def splits(self, root: Path) -> list[tuple[set[str], set[str]]]:
        """The one official split."""
        train = {
            photo.identity for photo in training_images(root, self.parts["bounding_box_train"], self.training_people)
        }
        test = {str(int(person)) for _, person, _ in read_part(root, "query", self.parts["query"])}
        return [(train, test)]
