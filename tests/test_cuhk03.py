"""CUHK03 from its official file and from extracted images, on tiny files of both layouts written here."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from bench.engine.cache import Cache, cache_folder
from bench.engine.data import Data, load
from bench.errors import DataError, UsageError
from bench.plugin.spec import dataset_spec
from datasets import _cuhk03, cuhk03

PEOPLE = {1: 4, 2: 3, 3: 0, 4: 0, 5: 0}
TEST_SETS = [[(1, 1), (1, 4), (2, 3)], [(1, 2), (1, 3), (2, 1)], *([[(1, 1), (2, 1), (2, 2)]] * 18)]
NO_IMAGE = {("labeled", 1, 2, 1), ("labeled", 1, 4, 6)}
"""(kind, pair, person, image of 1-10) that the files lack."""


def picture(kind: str, pair: int, person: int, image: int) -> np.ndarray:
    """(height, width, 3), of a size of its own."""
    rng = np.random.default_rng([len(kind), pair, person, image])
    return rng.integers(0, 256, (16 + person, 8 + image, 3)).astype(np.uint8)


def slots(kind: str, pair: int, person: int) -> list[int]:
    """Images 1, 2 of the first view and 6 of the second, less what is missing."""
    return [image for image in (1, 2, 6) if (kind, pair, person, image) not in NO_IMAGE]


@pytest.fixture(autouse=True)
def few_people(request, monkeypatch) -> None:
    """The official counts are lowered to those of the drawn files, except where the real set is read."""
    if request.node.get_closest_marker("data"):
        return
    for module in (_cuhk03, cuhk03):
        monkeypatch.setattr(module, "PEOPLE", {pair: n or 2 for pair, n in PEOPLE.items()})


def write_mat(path: Path, change: Callable[[h5py.File], None] = lambda file: None) -> Path:
    """An official file of 4 + 3 people in the first two camera pairs; `change` may damage it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for kind in ("labeled", "detected"):
            pairs = file.create_dataset(kind, (1, 5), dtype=h5py.ref_dtype)
            for pair, people in PEOPLE.items():
                grid = file.create_dataset(f"#refs#/{kind}{pair}", (10, people), dtype=h5py.ref_dtype)
                for person in range(1, people + 1):
                    for image in range(1, 11):
                        there = image in slots(kind, pair, person)
                        pixels = picture(kind, pair, person, image).transpose(2, 1, 0)
                        name = f"#refs#/{kind}_{pair}_{person}_{image}"
                        cell = file.create_dataset(name, data=pixels if there else np.zeros(2, np.uint64))
                        grid[image - 1, person - 1] = cell.ref
                pairs[0, pair - 1] = grid.ref
        sets = file.create_dataset("testsets", (1, 20), dtype=h5py.ref_dtype)
        for i, people in enumerate(TEST_SETS):
            sets[0, i] = file.create_dataset(f"#refs#/set{i}", data=np.array(people, float).T).ref
        change(file)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(128))
    return path


def write_extracted(folder: Path, names: tuple[str, str] = ("labeled", "detected")) -> Path:
    for kind, name in zip(("labeled", "detected"), names, strict=True):
        (folder / name).mkdir(parents=True)
        for pair, people in PEOPLE.items():
            for person in range(1, people + 1):
                for image in slots(kind, pair, person):
                    file = f"{pair}_{person:03d}_{1 + image // 6}_{image:02d}.png"
                    Image.fromarray(picture(kind, pair, person, image)).save(folder / name / file)
    return folder


def read(root: Path, text: str = "cuhk03[pairs=1+2]") -> Data:
    return load(dataset_spec(text), root, 0, Cache(cache_folder()))


@pytest.fixture
def mat(tmp_path) -> Path:
    return write_mat(tmp_path / "mat" / "cuhk03" / "cuhk-03.mat")


class TestContent:
    def test_every_image_comes_out_as_it_went_in(self, tmp_path, mat) -> None:
        data = read(tmp_path / "mat")
        assert data.identities == ("1_001", "1_002", "1_003", "1_004", "2_001", "2_002", "2_003")
        first = np.flatnonzero(data.identity == 0)
        assert data.camera[first].tolist() == ["1_1"] * 4 + ["1_2"] * 2
        expected = [picture(kind, 1, 1, i) for view in ((1, 2), (6,)) for kind in ("labeled", "detected") for i in view]
        assert all(np.array_equal(data.images[i], e) for i, e in zip(first, expected, strict=True))
        assert len(data.images) == 7 * 6 - len(NO_IMAGE)

    def test_both_layouts_hold_the_same_images(self, tmp_path, mat) -> None:
        write_extracted(tmp_path / "files" / "cuhk03", ("images_labeled", "images_detected"))
        official, extracted = read(tmp_path / "mat"), read(tmp_path / "files")
        assert all(np.array_equal(a, b) for a, b in zip(official.images, extracted.images, strict=True))
        for name in ("identity", "camera", "probe"):
            assert np.array_equal(getattr(official, name), getattr(extracted, name))

    @pytest.mark.parametrize(("images", "count"), [("labeled", 3 * 7 - 2 - 2), ("detected", 3 * 7)])
    def test_one_kind(self, tmp_path, mat, images, count) -> None:
        """Person 4 has no labelled image in the second view and is left out there, with two images of the first."""
        data = read(tmp_path / "mat", f"cuhk03[images={images},pairs=1+2]")
        assert len(data.images) == count
        assert ("1_004" in data.identities) == (images == "detected")

    def test_one_pair(self, tmp_path, mat) -> None:
        data = read(tmp_path / "mat", "mlr_cuhk03[pairs=2]")
        assert data.identities == ("2_001", "2_002", "2_003")
        assert set(data.camera) == {"2_1", "2_2"}

    def test_one_low_resolution_camera_in_each_pair_by_seed(self, tmp_path, mat) -> None:
        chosen = set()
        for seed in range(8):
            data = read(tmp_path / "mat", f"mlr_cuhk03[pairs=1+2,seed={seed}]")
            cameras = set(data.camera[data.probe])
            assert sorted(camera[0] for camera in cameras) == ["1", "2"]
            assert not cameras & set(data.camera[~data.probe])
            chosen.add(tuple(sorted(cameras)))
        assert len(chosen) > 2, "each pair has a draw of its own"


class TestSplits:
    def test_the_official_test_sets(self, tmp_path, mat) -> None:
        data = read(tmp_path / "mat")
        assert len(data.splits) == 20
        split = data.split(0, 0)
        assert [data.identities[i] for i in split.test] == ["1_001", "1_004", "2_003"]
        assert [data.identities[i] for i in split.train] == ["1_002", "1_003", "2_001", "2_002"]
        with pytest.raises(DataError, match="no split 20: the data set has 20 official splits"):
            data.split(20, 0)

    def test_are_restricted_to_the_pairs_and_people_there_are(self, tmp_path, mat) -> None:
        data = read(tmp_path / "mat", "cuhk03[pairs=1]")
        assert [data.identities[i] for i in data.split(1, 0).test] == ["1_002", "1_003"]

    def test_extracted_images_have_seeded_ones(self, tmp_path) -> None:
        write_extracted(tmp_path / "cuhk03")
        data, other = read(tmp_path), read(tmp_path, "cuhk03[pairs=1+2,seed=1]")
        assert len(data.splits) == 20
        for split in data.splits:
            assert len(split.test) == 3
            assert sorted([*split.train, *split.test]) == list(range(7))
        assert len({tuple(s.test) for s in data.splits}) > 5
        assert any(not np.array_equal(a.test, b.test) for a, b in zip(data.splits, other.splits, strict=True))

    def test_come_with_the_official_file_wherever_it_lies(self, tmp_path, mat) -> None:
        """Beside extracted images too: those alone have drawn test sets."""
        write_extracted(tmp_path / "mat" / "cuhk03")
        beside = read(tmp_path / "mat")
        (tmp_path / "mat" / "cuhk03_release").mkdir()
        mat.rename(tmp_path / "mat" / "cuhk03_release" / mat.name)
        elsewhere = read(tmp_path / "mat")
        for data in (beside, elsewhere):
            assert [data.identities[i] for i in data.split(0, 0).test] == ["1_001", "1_004", "2_003"]


class TestConversion:
    def test_sees_another_file_of_equal_size_and_time(self, tmp_path, mat) -> None:
        os.utime(mat, ns=(1, 1))
        before = read(tmp_path / "mat")
        with h5py.File(mat, "r+") as file:
            file["#refs#/labeled_1_1_1"][...] = 7
        os.utime(mat, ns=(1, 1))
        after = read(tmp_path / "mat")
        assert after.digest != before.digest
        assert (after.images[0] == 7).all()

    def test_happens_once(self, tmp_path, mat, monkeypatch) -> None:
        first = read(tmp_path / "mat").digest
        monkeypatch.setattr(_cuhk03.h5py, "File", lambda *_: pytest.fail("the file was opened again"))
        assert read(tmp_path / "mat").digest == first

    def test_does_not_depend_on_where_the_file_lies(self, tmp_path, mat) -> None:
        moved = tmp_path / "other" / "cuhk03_release" / "cuhk-03.mat"
        moved.parent.mkdir(parents=True)
        shutil.copy(mat, moved)
        assert read(tmp_path / "mat").digest == read(tmp_path / "other").digest

    def test_goes_on_after_a_kill(self, tmp_path, mat, monkeypatch) -> None:
        monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
        save, saved = Image.Image.save, []

        def killed(image, path, *arguments) -> None:
            saved.append(path)
            if len(saved) == 10:
                path.write_bytes(b"half a fi")
                raise KeyboardInterrupt
            save(image, path, *arguments)

        monkeypatch.setattr(Image.Image, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            read(tmp_path / "mat")
        data = read(tmp_path / "mat")
        assert len(saved) == 10 + len(data.images) - 9, "the nine that were whole are not written again"
        assert np.array_equal(data.images[0], picture("labeled", 1, 1, 1))


def relink(name: str, position: tuple[int, int], reference: object = None) -> Callable[[h5py.File], None]:
    """Put another reference, or none, at a position of a cell array."""

    def change(file: h5py.File) -> None:
        file[name][position] = h5py.Reference() if reference is None else file[str(reference)].ref

    return change


def content(name: str, array: np.ndarray) -> Callable[[h5py.File], None]:
    """Other content in place of a cell's; references to it stay valid because the grid is linked again."""

    def change(file: h5py.File) -> None:
        kind, pair, person, image = name.split("_")
        cell = file.create_dataset("#refs#/other", data=array)
        file[f"#refs#/{kind}{pair}"][int(image) - 1, int(person) - 1] = cell.ref

    return change


def few_sets(file: h5py.File) -> None:
    del file["testsets"]
    file.create_dataset("testsets", (1, 3), dtype=h5py.ref_dtype)


def fewer_detected(file: h5py.File) -> None:
    grid = file.create_dataset("#refs#/short", data=file["#refs#/detected1"][:, :3], dtype=h5py.ref_dtype)
    file["detected"][0, 0] = grid.ref


def nobody_in_a_set(file: h5py.File) -> None:
    file["#refs#/set4"][1, 0] = 5


def empty_set(file: h5py.File) -> None:
    file["testsets"][0, 6] = file.create_dataset("#refs#/none", data=np.zeros(2, np.uint64)).ref


BAD = {
    "missing variable": (lambda file: file.pop("detected"), "has no variable 'detected'"),
    "missing reference to a pair": (relink("labeled", (0, 1)), "labeled, camera pair 2: its reference is missing"),
    "missing reference to an image": (
        relink("#refs#/labeled1", (5, 2)),
        "labeled, camera pair 1, person 3, image 6: its reference is missing",
    ),
    "empty cell in place of a pair": (
        relink("labeled", (0, 0), "#refs#/labeled3"),
        "camera pair 1 has 0 labelled and 4 detected people; 4 of both expected",
    ),
    "count mismatch": (fewer_detected, "camera pair 1 has 4 labelled and 3 detected people; 4 of both expected"),
    "an image that is none": (
        content("labeled_1_2_2", np.zeros((4, 8, 8), np.uint8)),
        "labeled, camera pair 1, person 2, image 2 is uint8 (4, 8, 8); uint8 (3, width, height) expected",
    ),
    "an image in floats": (content("detected_2_1_1", np.zeros((3, 8, 8))), "float64 (3, 8, 8); uint8"),
    "three test sets": (few_sets, "3 test sets; 20 expected"),
    "a test set with nobody": (nobody_in_a_set, "test set 5 names person 5 of camera pair 1, who is nobody"),
    "an empty test set": (empty_set, "test set 7 is (2,); camera pair and person of each expected"),
}


class TestBadFiles:
    @pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
    def test_damaged_content(self, tmp_path, change, words) -> None:
        path = write_mat(tmp_path / "cuhk03" / "cuhk-03.mat", change)
        fails(tmp_path, str(path), words)

    @pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
    def test_truncated(self, tmp_path, mat, share) -> None:
        raw = mat.read_bytes()
        mat.write_bytes(raw[: int(share * len(raw))])
        fails(tmp_path / "mat", str(mat), "again")

    def test_damaged_inside(self, tmp_path, mat) -> None:
        raw = bytearray(mat.read_bytes())
        raw[len(raw) // 3 : 2 * len(raw) // 3] = b"\xff" * (2 * len(raw) // 3 - len(raw) // 3)
        mat.write_bytes(raw)
        fails(tmp_path / "mat", str(mat), "")

    def test_older_version(self, tmp_path, mat) -> None:
        mat.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128) + b"\0" * 999)
        fails(tmp_path / "mat", "is a MATLAB v5 or v7 file; the release's is v7.3 (HDF5)")

    def test_exit_code_and_one_line(self, bench, tmp_path, mat) -> None:
        mat.write_bytes(mat.read_bytes()[:3000])
        output = bench("run", "-m", "nfst", "-d", "cuhk03", "--data", tmp_path / "mat", "--results", tmp_path / "r")
        assert output.code == 3
        assert output.err.count("\n") == 1
        assert str(mat) in output.err


class TestBadFolders:
    def test_nothing_there(self, tmp_path) -> None:
        fails(tmp_path, str(tmp_path / "cuhk03" / "cuhk-03.mat"), "get CUHK03 on request")

    def test_a_pair_that_the_copy_lacks(self, tmp_path, mat) -> None:
        with pytest.raises(DataError, match=r"nobody of camera pairs 3; \[pairs=1\+2\] runs on what is there"):
            read(tmp_path / "mat", "cuhk03[pairs=1+2+3]")

    def test_a_missing_person(self, tmp_path) -> None:
        folder = write_extracted(tmp_path / "cuhk03")
        for path in folder.rglob("1_003_*"):
            path.unlink()
        fails(tmp_path, "has 3 people of camera pair 1, 4 expected")

    def test_another_name(self, tmp_path) -> None:
        folder = write_extracted(tmp_path / "cuhk03")
        (folder / "labeled" / "portrait.png").write_bytes(b"")
        fails(tmp_path, "portrait.png is not named pair_person_view_image")

    def test_one_kind_only(self, tmp_path) -> None:
        folder = write_extracted(tmp_path / "cuhk03")
        shutil.rmtree(folder / "labeled")
        fails(tmp_path, str(folder / "labeled"), "cuhk03[images=detected]")
        assert len(read(tmp_path, "cuhk03[images=detected,pairs=1+2]").images) == 21

    @pytest.mark.parametrize("text", ["pairs=6", "pairs=1-2", "pairs=", "images=drawn", "seed=-1"])
    def test_parameters(self, text) -> None:
        with pytest.raises(UsageError):
            dataset_spec(f"cuhk03[{text}]")


def fails(root: Path, *words: str) -> None:
    with pytest.raises(DataError) as error:
        read(root)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.data
@pytest.mark.slow
def test_pair_1_of_the_real_set(data_root) -> None:
    data = read(data_root, "mlr_cuhk03[pairs=1]")
    assert (len(data.images), len(data.identities), len(data.splits)) == (7239 + 8177, 843, 20)
    assert all((len(s.train), len(s.test)) == (743, 100) for s in data.splits)
