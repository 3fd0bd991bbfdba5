from collections.abc import Iterator
from pathlib import Path

from bench.plugin.base import Dataset, Photo


class VIPeR(Dataset):
    """VIPeR (Gray and Tao, ECCV 2008): 632 people, one 128x48 image in each of two cameras, at full resolution."""

    name = "viper"
    folder = "VIPeR"
    obtain = "VIPeR.v1.0 from the Vision Lab of UC Santa Cruz; unpack it so that VIPeR/cam_a/000_45.bmp exists"
    terms = "free download for research"
    cameras = 2
    probe_camera = "a"
    expected = {"images": 1264, "identities": 632}

    def read(self, root: Path) -> Iterator[Photo]:
        for camera in "ab":
            for path in sorted((root / f"cam_{camera}").glob("*.bmp")):
                yield Photo(path, identity=str(int(path.stem.split("_")[0])), camera=camera)
