from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench.engine.decode import image_area
from bench.plugin.base import Dataset, Photo
from datasets._layout import named_images


class CAVIAR(Dataset):
    """CAVIAR4REID (Cheng et al., BMVC 2011): the 50 people seen by two cameras, 10 genuine LR and 10 HR images each.

    Files carry no camera label.  A person of two cameras has 20 images, 1-10 of one camera and 11-20 of the other; in
    48 of the 50 the first ten are the close (high-resolution) camera's, so mean pixel area decides which is which.
    The 22 people with 10 images are seen by the close camera only and left out, as in the paper.
    """

    name = "caviar"
    version = 1
    folder = "CAVIAR4REID"
    other_folders = ("CAVIAR",)
    holds = ("[0-9][0-9][0-9][0-9][0-9][0-9][0-9].jpg",)
    obtain = (
        "CAVIAR4REID from Dong Seon Cheng's page at the University of Verona (or in the PETA collection); "
        "unpack it so that CAVIAR4REID/0001001.jpg exists"
    )
    terms = "free download for research"
    cameras = 2
    low_resolution = "genuine"
    expected = {"images": 1000, "identities": 50}

    def read(self, root: Path) -> Iterator[Photo]:
        people: dict[str, list[Path]] = defaultdict(list)
        for path, name in named_images(root, r"(\d{4})\d{3}\.jpg", "0001001.jpg"):
            people[name[1]].append(path)
        for person, paths in people.items():
            if len(paths) != 20:
                continue
            halves = sorted((paths[:10], paths[10:]), key=self._mean_area)
            for camera, half in zip(("far", "close"), halves, strict=True):
                for path in half:
                    yield Photo(path, identity=str(int(person)), camera=camera, probe=camera == "far")

    def _mean_area(self, paths: list[Path]) -> float:
        """Mean pixel area of images, read from their headers."""
        return sum(image_area(path, self.name) for path in paths) / len(paths)
