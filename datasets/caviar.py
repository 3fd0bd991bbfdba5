from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from bench.plugin.base import Dataset, Photo


class CAVIAR(Dataset):
    """CAVIAR4REID (Cheng et al., BMVC 2011): the 50 people seen by two cameras, 10 genuine LR and 10 HR images each.

    Files carry no camera label.  A person of two cameras has 20 images, 1-10 of one camera and 11-20 of the other; in
    48 of the 50 the first ten are the close (high-resolution) camera's, so mean pixel area decides which is which.
    The 22 people with 10 images are seen by the close camera only and left out, as in the paper.
    """

    name = "caviar"
    folder = "CAVIAR4REID"
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
        for path in sorted(root.glob("*.jpg")):
            people[path.stem[:4]].append(path)
        for person, paths in people.items():
            if len(paths) != 20:
                continue
            halves = sorted((paths[:10], paths[10:]), key=mean_area)
            for camera, half in zip(("far", "close"), halves, strict=True):
                for path in half:
                    yield Photo(path, identity=str(int(person)), camera=camera, probe=camera == "far")


def mean_area(paths: list[Path]) -> float:
    """Mean pixel area of images, read from their headers."""
    areas = []
    for path in paths:
        with Image.open(path) as image:
            areas.append(image.width * image.height)
    return sum(areas) / len(areas)
