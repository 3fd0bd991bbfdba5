"""The small two-camera sets, on folders of their official layouts made of drawn people."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from bench.engine.cache import Cache
from bench.engine.data import Data, check_counts, list_photos, load
from bench.errors import DataError
from bench.plugin.base import Dataset, Photo
from bench.plugin.spec import dataset_spec
from datasets.cuhk01 import CUHK01
from datasets.grid import GRID
from datasets.ilids import ILIDS
from datasets.prid450s import PRID450S
from datasets.synthetic import draw_person

File = tuple[str, int, str]
"""An image of a set: path below the data root, person, camera a or b that draws it."""


def cuhk01(people: int = 971) -> Iterator[File]:
    for person in range(1, people + 1):
        for image in range(1, 5):
            yield f"CUHK01/campus/{person:04d}{image:03d}.png", person, "ab"[image > 2]


def prid450s(people: int = 450) -> Iterator[File]:
    for person in range(1, people + 1):
        for camera in "ab":
            yield f"prid_450s/cam_{camera}/img_{person:03d}.png", person, camera


def ilids(people: int = 119) -> Iterator[File]:
    for person in range(1, people + 1):
        for image in range(4 if person == people else 3 if person % 2 else 5):
            yield f"i-LIDS_Pedestrian/Persons/{person:04d}{image + 1:03d}.jpg", person, "a"


def grid(people: int = 250, others: int = 775) -> Iterator[File]:
    for person in range(1, people + 1):
        yield f"underground_reid/probe/{person:04d}_1_25004_107_32_106_221.jpeg", person, "a"
        yield f"underground_reid/gallery/{person:04d}_2_25023_116_134_128_330.jpeg", person, "b"
    for other in range(others):
        yield f"underground_reid/gallery/0000_{1 + other % 8}_{other}_1_2_3_4.jpeg", people + 1 + other, "b"


SETS: dict[type[Dataset], Callable[..., Iterator[File]]] = {
    CUHK01: cuhk01,
    PRID450S: prid450s,
    ILIDS: ilids,
    GRID: grid,
}
each_set = pytest.mark.parametrize("kind", SETS, ids=lambda kind: kind.name)


def link(root: Path, files: Iterable[File]) -> None:
    """One tiny image under every name."""
    Image.new("RGB", (4, 8)).save(root / "one.png")
    for name, _, _ in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).hardlink_to(root / "one.png")


def draw(root: Path, files: Iterable[File]) -> None:
    """Drawn people of half the size, another image under every name."""
    shots = Counter[tuple[int, str]]()
    for name, person, camera in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image = draw_person(person, camera, shots[person, camera])[::2, ::2]
        shots[person, camera] += 1
        Image.fromarray(image).save(root / name)


@pytest.fixture
def small(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Eight drawn people of a set (and four distractors of GRID), with the expected counts lowered to them."""

    def make(kind: type[Dataset]) -> Path:
        files = list(SETS[kind](8, 4) if kind is GRID else SETS[kind](8))
        draw(tmp_path, files)
        monkeypatch.setattr(kind, "expected", {"images": len(files), "identities": 8})
        return tmp_path

    return make


def load_set(name: str, root: Path) -> Data:
    return load(dataset_spec(name), root, 0, Cache(root / "cache"))


def read(kind: type[Dataset], root: Path) -> list[Photo]:
    return list_photos(kind(), root)


@each_set
class TestEverySet:
    def test_a_copy_of_the_official_layout_has_the_official_counts(self, kind, tmp_path) -> None:
        link(tmp_path, SETS[kind]())
        photos = read(kind, tmp_path)
        check_counts(kind(), photos)
        assert kind.expected["images"] == len(photos)

    def test_a_missing_image_is_counted(self, kind, tmp_path) -> None:
        first, *others = SETS[kind]()
        link(tmp_path, others)
        images = kind.expected["images"]
        with pytest.raises(DataError, match=f"{kind.name}: {images - 1:,} images found, {images:,} expected"):
            check_counts(kind(), read(kind, tmp_path))
        assert not (tmp_path / first[0]).exists()

    def test_loads_and_shrinks_the_probe_side(self, kind, small) -> None:
        root = small(kind)
        full, low = load_set(kind.name, root), load_set(f"mlr_{kind.name}", root)
        assert len(full.identities) == 8
        assert np.array_equal(full.probe, low.probe)
        for index, probe in enumerate(full.probe):
            assert full.images[index].shape == (64, 24, 3)
            assert (low.images[index].shape == (64, 24, 3)) != probe
        assert full.low_resolution is False
        assert low.low_resolution is True

    def test_runs(self, kind, small, bench, tmp_path) -> None:
        root = small(kind)
        output = bench(
            "run", "-d", f"mlr_{kind.name}", "-m", "bicubic+xqda", "--splits", "0", "--jobs", 1, "--data", root,
            "--results", tmp_path / "results",
        )  # fmt: skip
        assert output.code == 0, output.err
        assert "bicubic+xqda |" in output.out

    def test_missing_inner_folder(self, kind, tmp_path) -> None:
        (tmp_path / kind.folder).mkdir()
        with pytest.raises(DataError, match=r"no folder .*; the release has") as error:
            read(kind, tmp_path)
        assert "\n" not in str(error.value)

    def test_unexpected_name(self, kind, small) -> None:
        root = small(kind)
        first = root / next(iter(SETS[kind]()))[0]
        first.rename(first.with_stem("copy of 1"))
        with pytest.raises(DataError, match=r"copy of 1.* is not named as in the release"):
            read(kind, root)

    def test_other_files_of_a_release_are_passed_over(self, kind, small) -> None:
        root = small(kind)
        folder = (root / next(iter(SETS[kind]()))[0]).parent
        (folder / "Thumbs.db").write_bytes(b"x")
        (folder / "readme.txt").write_bytes(b"x")
        assert len(read(kind, root)) == kind.expected["images"]


def test_cuhk01_cameras(small) -> None:
    photos = read(CUHK01, small(CUHK01))
    assert [(p.image.name, p.identity, p.camera) for p in photos[:4]] == [
        ("0001001.png", "1", "a"),
        ("0001002.png", "1", "a"),
        ("0001003.png", "1", "b"),
        ("0001004.png", "1", "b"),
    ]


def test_cuhk01_splits_485_486(tmp_path) -> None:
    link(tmp_path, cuhk01())
    split = load_set("cuhk01", tmp_path).split(0, 0)
    assert (len(split.train), len(split.test)) == (485, 486)


class TestILIDS:
    def test_half_of_a_persons_images_are_probes(self, small) -> None:
        photos = read(ILIDS, small(ILIDS))
        sides = {p: [x.probe for x in photos if x.identity == p] for p in ("1", "2", "8")}
        assert {p: (sum(of), len(of)) for p, of in sides.items()} == {"1": (1, 3), "2": (2, 5), "8": (2, 4)}

    def test_seed_draws_other_sides(self, small) -> None:
        root = small(ILIDS)
        sides = [[p.probe for p in list_photos(ILIDS(seed), root)] for seed in (0, 0, 1)]
        assert sides[0] == sides[1] != sides[2]


def write_partitions(root: Path, parts: list[list[int]]) -> None:
    """A features_and_partitions.mat whose ``trainIdxAll`` is built as the release's."""
    cells = np.empty((1, len(parts)), object)
    for index, people in enumerate(parts):
        cells[0, index] = {"probe": np.array([[1]]), "gallery": np.array([[1]]), "train": np.array([people])}
    savemat(root / "underground_reid" / "features_and_partitions.mat", {"trainIdxAll": cells, "features": np.eye(2)})


class TestGRID:
    def test_distractors_are_in_every_gallery_each_as_one_person(self, small) -> None:
        data = load_set("grid", small(GRID))
        assert len(data.distractors) == 4
        assert not data.probe[np.isin(data.identity, data.distractor_people)].any()
        assert data.probe.sum() == 8

    def test_without_partitions_the_people_are_split_at_random(self, small) -> None:
        data = load_set("grid", small(GRID))
        assert data.splits is None
        assert len(data.split(9, 0).train) == 4

    def test_partitions_of_the_release(self, small) -> None:
        root = small(GRID)
        write_partitions(root, [[1, 2, 3, 4], [8, 1, 6, 3]])
        data = load_set("mlr_grid", root)
        assert [data.identities[i] for i in data.split(1, 0).train] == ["1", "3", "6", "8"]
        assert [data.identities[i] for i in data.split(1, 0).test] == ["2", "4", "5", "7"]
        with pytest.raises(DataError, match="has 2 official splits"):
            data.split(2, 0)

    @pytest.mark.parametrize("people", [[1, 2, 3], [1, 2, 3, 9], [1, 1, 2, 3]])
    def test_partition_of_other_people(self, small, people) -> None:
        root = small(GRID)
        write_partitions(root, [people])
        with pytest.raises(DataError, match=r"partition 0 has . training people, 4 of 1-8 expected"):
            load_set("grid", root)

    def test_damaged_partitions(self, small) -> None:
        root = small(GRID)
        (root / "underground_reid" / "features_and_partitions.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
        with pytest.raises(DataError, match="has no readable trainIdxAll") as error:
            load_set("grid", root)
        assert "\n" not in str(error.value)
