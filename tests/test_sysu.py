"""SYSU and MLR-SYSU, on drawn people in the set's two layouts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import Data, load
from bench.errors import DataError
from bench.plugin.spec import dataset_spec
from datasets import sysu
from datasets.synthetic import draw_person

PEOPLE = range(1, 13)


def shots(person: int, camera: int) -> int:
    """Between three and six images, another number for each person and camera."""
    return 3 + (person + camera) % 4


TOTAL = sum(shots(person, camera) for person in PEOPLE for camera in (0, 1))


def write(root: Path, layout: str) -> Path:
    """Drawn people in the layout of the set: `flat` (cam_0/PPPPP_IIIII.jpg) or `folders` (cam_0/PPPPP/IIIII.jpg)."""
    for camera in (0, 1):
        for person in PEOPLE:
            for shot in range(1, shots(person, camera) + 1):
                name = f"{person:05d}_{shot:05d}.jpg" if layout == "flat" else f"{person:05d}/{shot:05d}.jpg"
                path = root / "SYSU" / f"cam_{camera}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(draw_person(person, "ab"[camera], shot)).save(path, quality=95)
    return root


@pytest.fixture(scope="module", params=["flat", "folders"])
def root(request, tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(autouse=True)
def few_people(monkeypatch) -> None:
    monkeypatch.setattr(sysu, "IMAGES", TOTAL)
    monkeypatch.setattr(sysu.SYSU, "expected", {"images": 6 * len(PEOPLE), "identities": len(PEOPLE)})


def read(root: Path, text: str = "sysu") -> Data:
    return load(dataset_spec(text), root, 0, Cache(cache_folder()))


def test_three_images_of_each_person_in_each_camera(root) -> None:
    data = read(root)
    assert data.identities == tuple(str(person) for person in PEOPLE)
    assert set(Counter(zip(data.identity.tolist(), data.camera.tolist(), strict=True)).values()) == {3}
    assert np.array_equal(data.probe, data.camera == "cam_0")


def test_the_choice_is_the_seeds(root) -> None:
    chosen = {seed: [p.image for p in sysu.SYSU(seed=seed).read(root / "SYSU")] for seed in (0, 1)}
    assert chosen[0] == [p.image for p in sysu.SYSU().read(root / "SYSU")]
    assert chosen[0] != chosen[1]
    assert len(set(chosen[0])) == 6 * len(PEOPLE)


def test_the_multi_resolution_variant_shrinks_camera_0_in_balanced_thirds(root) -> None:
    data = read(root, "mlr_sysu")
    heights = Counter(image.shape[0] for image, probe in zip(data.images, data.probe, strict=True) if probe)
    assert heights == {64: 12, 43: 12, 32: 12}
    assert {image.shape for image, probe in zip(data.images, data.probe, strict=True) if not probe} == {(128, 48, 3)}
    split = data.split(0, 0)
    assert (len(split.train), len(split.test)) == (6, 6)


def test_from_the_files_to_a_table(bench, root, tmp_path) -> None:
    arguments = ["-d", "mlr_sysu", "--data", root, "--splits", "0-1", "--jobs", 1, "--results", tmp_path]
    output = bench("run", "-m", "bicubic+nfst", "-m", "bicubic+xqda", *arguments)
    assert output.code == 0, output.err
    table = output.out[output.out.index("### Table") :]
    assert all(word in table for word in ("mlr_sysu", "| bicubic+nfst ", "| bicubic+xqda "))


def test_both_layouts_choose_the_same_images(tmp_path) -> None:
    flat, folders = (read(write(tmp_path / layout, layout)) for layout in ("flat", "folders"))
    assert all(np.array_equal(a, b) for a, b in zip(flat.images, folders.images, strict=True))
    assert flat.digest == folders.digest


class TestBad:
    @pytest.fixture
    def root(self, tmp_path) -> Path:
        return write(tmp_path, "flat")

    def test_an_image_too_few(self, root) -> None:
        (root / "SYSU" / "cam_1" / "00003_00001.jpg").unlink()
        with pytest.raises(DataError, match=f"holds {TOTAL - 1} images, {TOTAL} expected"):
            read(root)

    def test_a_person_too_few(self, root, monkeypatch) -> None:
        gone = list((root / "SYSU").rglob("00005_*"))
        for path in gone:
            path.unlink()
        monkeypatch.setattr(sysu, "IMAGES", TOTAL - len(gone))
        with pytest.raises(DataError, match="66 images found, 72 expected"):
            read(root)

    @pytest.mark.parametrize("name", ["photo.jpg", "00001-00001.jpg", "group/00001.jpg", "00001/more/00001.jpg"])
    def test_a_name_without_a_person(self, root, name) -> None:
        path = root / "SYSU" / "cam_0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        with pytest.raises(DataError, match=r"does not say whose image it is; cam_0/00001_00001\.jpg or"):
            read(root)

    def test_an_empty_folder(self, tmp_path) -> None:
        (tmp_path / "SYSU" / "cam_0").mkdir(parents=True)
        with pytest.raises(DataError, match=r"sysu: no image in .*SYSU; get SYSU-reID on request"):
            read(tmp_path)
