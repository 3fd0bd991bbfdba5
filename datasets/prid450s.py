from collections.abc import Iterator
from pathlib import Path

from bench.plugin.base import Dataset, Photo
from datasets._layout import named_images


class PRID450S(Dataset):
    """PRID450S (Roth et al., 2014): 450 people, one image in each of two cameras, at full resolution."""

    name = "prid450s"
    version = 1
    folder = "prid_450s"
    other_folders = ("PRID450S", "PRID-450S")
    holds = ("cam_a/img_*.png",)
    obtain = (
        "PRID450S from the Institute of Computer Graphics and Vision, TU Graz; unpack it so that"
        " prid_450s/cam_a/img_001.png exists"
    )
    terms = "free download for research"
    cameras = 2
    probe_camera = "a"
    expected = {"images": 900, "identities": 450}

    def read(self, root: Path) -> Iterator[Photo]:
        for camera in "ab":
            for path, name in named_images(root / f"cam_{camera}", r"img_(\d+)\.png", "img_001.png"):
                yield Photo(path, identity=str(int(name[1])), camera=camera)
