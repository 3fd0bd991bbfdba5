from collections.abc import Iterator
from pathlib import Path

from bench.plugin.base import Dataset, Photo
from datasets._layout import named_images


class VIPeR(Dataset):
    """VIPeR (Gray and Tao, ECCV 2008): 632 people, one 128x48 image in each of two cameras, at full resolution."""

    name = "viper"
    version = 1
    folder = "VIPeR"
    other_folders = ("VIPeR.v1.0",)
    holds = ("cam_a/*.bmp",)
    obtain = "VIPeR.v1.0 from the Vision Lab of UC Santa Cruz; unpack it so that VIPeR/cam_a/000_45.bmp exists"
    terms = "free download for research"
    cameras = 2
    probe_camera = "a"
    expected = {"images": 1264, "identities": 632}

    def read(self, root: Path) -> Iterator[Photo]:
        for camera in "ab":
            for path, name in named_images(root / f"cam_{camera}", r"(\d+)_\d+\.bmp", "000_45.bmp"):
                yield Photo(path, identity=str(int(name[1])), camera=camera)
