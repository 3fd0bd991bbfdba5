"""Where a data set is found: other names, upper and lower case, a level deeper, or the data root itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.engine.cache import Cache
from bench.engine.data import list_photos, load
from bench.engine.folders import child, folder_of
from bench.errors import DataError
from bench.plugin.spec import dataset_spec
from datasets.caviar import CAVIAR
from datasets.prid450s import PRID450S
from datasets.viper import VIPeR


@pytest.fixture
def viper(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Three people in VIPeR's layout below any folder of a data root."""
    monkeypatch.setattr(VIPeR, "expected", {"images": 6, "identities": 3})

    def make(folder: str, cameras: str = "cam_", suffix: str = ".bmp") -> Path:
        for person in range(3):
            for camera in "ab":
                path = tmp_path / "data" / folder / f"{cameras}{camera}" / f"{person:03d}_0{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((8, 4, 3), 9 * person + ord(camera), np.uint8)).save(path)
        return tmp_path / "data"

    return make


@pytest.mark.parametrize(
    "folder", ["VIPeR", "viper", "VIPeR/VIPeR", "viper/ViPeR", "VIPeR.v1.0", "VIPeR/VIPeR.v1.0", "."]
)
def test_found(viper, folder) -> None:
    root = viper(folder)
    assert folder_of(VIPeR(), root) == root / folder
    assert len(list_photos(VIPeR(), root)) == 6


def test_upper_case_inside(viper) -> None:
    root = viper("VIPeR", "CAM_", ".BMP")
    assert [photo.image.name for photo in list_photos(VIPeR(), root)] == ["000_0.BMP", "001_0.BMP", "002_0.BMP"] * 2


def test_hidden_files_of_macos_are_no_images(viper) -> None:
    root = viper("VIPeR")
    before = load(dataset_spec("viper"), root, 0, Cache(root / "cache")).digest
    for path in list((root / "VIPeR").rglob("*.bmp")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    (root / "._VIPeR").mkdir()
    assert load(dataset_spec("viper"), root, 0, Cache(root / "cache")).digest == before


def test_the_set_itself_is_not_taken_for_another_of_like_layout(viper) -> None:
    root = viper(".")
    with pytest.raises(DataError, match=r"prid450s: no folder .*prid_450s; get PRID450S.*; .*data holds cam_a, cam_b"):
        folder_of(PRID450S(), root)


def test_the_folder_of_the_right_name_goes_before_a_copy_elsewhere(viper) -> None:
    root = viper("VIPeR")
    shutil.copytree(root / "VIPeR", root / "viper.v1.0")
    assert folder_of(VIPeR(), root) == root / "VIPeR"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("other", "data holds other"),
        ("VIPeR/images", "VIPeR holds images"),
        (".hidden", "data holds nothing"),
    ],
)
def test_says_what_is_there_instead(tmp_path, made, words) -> None:
    (tmp_path / "data" / made).mkdir(parents=True)
    with pytest.raises(DataError, match=words) as error:
        list_photos(VIPeR(), tmp_path / "data")
    assert "\n" not in str(error.value)
    assert "VIPeR" in str(error.value)


def test_a_data_root_that_is_not_there(tmp_path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        folder_of(CAVIAR(), tmp_path / "nowhere")


def test_a_name_in_its_own_case_first(tmp_path) -> None:
    for name in ("Query", "query"):
        (tmp_path / name).mkdir(exist_ok=True)
    assert child(tmp_path, "query").name == "query"
    assert child(tmp_path, "gallery") == tmp_path / "gallery"
