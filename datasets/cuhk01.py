from collections.abc import Iterator
from pathlib import Path

from bench.plugin.base import Dataset, Photo
from datasets._layout import named_images


class CUHK01(Dataset):
    """CUHK01 (Li et al., ACCV 2012): 971 people, two images in each of two campus cameras, at full resolution.

    Images 001 and 002 of a person are of camera a (front or back view), 003 and 004 of camera b (side view).
    """

    name = "cuhk01"
    version = 1
    folder = "CUHK01"
    holds = ("campus/*.png",)
    obtain = (
        "CUHK01 from the CUHK Person Re-identification page of Xiaogang Wang's group; unpack it so that"
        " CUHK01/campus/0001001.png exists"
    )
    terms = "on request, for academic research only"
    cameras = 2
    probe_camera = "a"
    expected = {"images": 3884, "identities": 971}

    def read(self, root: Path) -> Iterator[Photo]:
        for path, name in named_images(root / "campus", r"(\d{4})00([1-4])\.png", "0001001.png"):
            yield Photo(path, identity=str(int(name[1])), camera="a" if name[2] in "12" else "b")
