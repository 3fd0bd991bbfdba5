"""Market-1501's file names, training part and protocol, on a folder of the official layout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.engine.cache import Cache
from bench.engine.data import Data, list_photos, load
from bench.errors import DataError
from bench.plugin.spec import dataset_spec
from datasets._market1501 import training_images
from datasets.market1501 import Market1501


def write(folder: Path, *names: str) -> None:
    """Images of those names, each of its own noise."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        noise = np.random.default_rng(list(name.encode())).integers(0, 256, (128, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)


class TestTraining:
    names = ("0002_c1s1_000451_03.jpg", "0002_c6s3_077142_01.jpg", "0007_c3s3_077419_03.jpg")

    def test_reads_person_and_camera_from_names(self, tmp_path) -> None:
        write(tmp_path / "bounding_box_train", *self.names)
        (tmp_path / "bounding_box_train" / "Thumbs.db").write_bytes(b"as in the release")
        photos = training_images(tmp_path, images=3, people=2)
        assert [(p.image.name, p.identity, p.camera) for p in photos] == [
            (self.names[0], "2", "1"),
            (self.names[1], "2", "6"),
            (self.names[2], "7", "3"),
        ]

    def test_official_counts_are_the_default(self, tmp_path) -> None:
        write(tmp_path / "bounding_box_train", *self.names)
        with pytest.raises(DataError, match="has 3 images, 12,936 expected"):
            training_images(tmp_path)

    def test_person_too_few(self, tmp_path) -> None:
        write(tmp_path / "bounding_box_train", *self.names)
        with pytest.raises(DataError, match="has 2 people, 3 expected"):
            training_images(tmp_path, images=3, people=3)

    def test_missing_folder(self, tmp_path) -> None:
        with pytest.raises(DataError, match=r"no folder .*bounding_box_train"):
            training_images(tmp_path)

    @pytest.mark.parametrize("name", ["person.jpg", "0002_c7s1_000451_03.jpg", "0002_c1s1_000451_03.jpg.jpg"])
    def test_unexpected_name(self, tmp_path, name) -> None:
        write(tmp_path / "bounding_box_train", name)
        with pytest.raises(DataError, match="is not named as in the release"):
            training_images(tmp_path)

    @pytest.mark.data
    def test_real_training_part(self, data_root) -> None:
        folder = data_root / "Market-1501-v15.09.15"
        if not folder.is_dir():
            pytest.skip(f"no {folder}")
        photos = training_images(folder)
        assert len(photos) == 12936
        assert {p.camera for p in photos} == set("123456")

    @pytest.mark.data
    def test_real_training_people_are_seen_by_several_cameras(self, data_root) -> None:
        folder = data_root / "Market-1501-v15.09.15"
        if not folder.is_dir():
            pytest.skip(f"no {folder}")
        seen = {(p.identity, p.camera) for p in training_images(folder)}
        people = [identity for identity, _ in seen]
        assert min(map(people.count, set(people))) >= 2, "so that each has images on both sides"


TRAIN = ("0002_c1s1_000001_01.jpg", "0002_c2s1_000001_01.jpg", "0002_c2s1_000002_01.jpg",
         "0007_c3s1_000001_01.jpg", "0007_c5s1_000001_01.jpg")  # fmt: skip
QUERY = ("0001_c1s1_000001_00.jpg", "0001_c2s1_000001_00.jpg", "0003_c4s1_000001_00.jpg", "0003_c6s1_000001_00.jpg")
TEST = ("-1_c1s1_000001_00.jpg", "0000_c1s1_000002_01.jpg", "0000_c2s1_000003_01.jpg",
        "0001_c1s1_000005_01.jpg", "0001_c2s1_000006_01.jpg", "0001_c2s1_000007_01.jpg",
        "0003_c4s1_000008_01.jpg", "0003_c6s1_000009_01.jpg")  # fmt: skip


@pytest.fixture
def market(tmp_path, monkeypatch) -> Path:
    """Two training and two test people in the official layout, and the official counts lowered to them."""
    for part, names in (("bounding_box_train", TRAIN), ("query", QUERY), ("bounding_box_test", TEST)):
        write(tmp_path / Market1501.folder / part, *names)
    monkeypatch.setattr(Market1501, "expected", {"identities": 4})
    monkeypatch.setattr(Market1501, "training_people", 2)
    monkeypatch.setattr(Market1501, "parts", {"bounding_box_train": 5, "query": 4, "bounding_box_test": 8})
    return tmp_path


def load_set(name: str, root: Path) -> Data:
    return load(dataset_spec(name), root, 0, Cache(root / "cache"))


class TestProtocol:
    def test_no_probe_meets_an_image_of_its_own_camera(self, market) -> None:
        photos = [p for p in list_photos(Market1501(), market) if not p.distractor]
        for identity in ("1", "2", "3", "7"):
            probe = {p.camera for p in photos if p.identity == identity and p.probe}
            gallery = {p.camera for p in photos if p.identity == identity and not p.probe}
            assert len(probe) == 1
            assert gallery
            assert not probe & gallery

    def test_test_probes_are_query_images_and_the_gallery_is_bounding_box_test(self, market) -> None:
        photos = [p for p in list_photos(Market1501(), market) if p.image.parent.name != "bounding_box_train"]
        assert {(p.image.parent.name, bool(p.probe)) for p in photos} == {("query", True), ("bounding_box_test", False)}
        assert [p.identity for p in photos if p.probe] == ["1", "3"]

    def test_junk_is_left_out_and_distractors_are_in_the_gallery(self, market) -> None:
        data = load_set("market1501", market)
        assert data.identities == ("1", "2", "3", "7")
        assert data.distractors == ("0000 0000_c1s1_000002_01", "0000 0000_c2s1_000003_01")

    def test_one_official_split(self, market) -> None:
        data = load_set("market1501", market)
        split = data.split(0, 0)
        assert [data.identities[i] for i in split.train] == ["2", "7"]
        assert [data.identities[i] for i in split.test] == ["1", "3"]
        with pytest.raises(DataError, match="there is no split 1"):
            data.split(1, 0)

    def test_mlr_variant_shrinks_the_probe_side_only(self, market) -> None:
        data = load_set("mlr_market1501", market)
        for index, probe in enumerate(data.probe):
            assert (data.images[index].shape == (128, 64, 3)) != probe

    def test_seed_draws_other_cameras(self, market) -> None:
        cameras = [
            tuple(p.camera for p in list_photos(Market1501(seed), market) if p.probe and p.identity in "13")
            for seed in range(8)
        ]
        assert len(set(cameras)) > 1
        assert cameras[0] == tuple(p.camera for p in list_photos(Market1501(0), market) if p.probe)[-2:]

    def test_training_part_alone_cannot_be_evaluated(self, market, bench, tmp_path) -> None:
        for part in ("query", "bounding_box_test"):
            for path in (market / Market1501.folder / part).iterdir():
                path.unlink()
            (market / Market1501.folder / part).rmdir()
        output = bench("run", "-d", "mlr_market1501", "--splits", 0, "--data", market, "--results", tmp_path / "r")
        assert output.code == 3
        assert output.err.count("\n") == 1
        assert "the test part is missing (query and bounding_box_test in " in output.err
        assert "(5 images of 2 people)" in output.err

    def test_incomplete_test_part(self, market) -> None:
        (market / Market1501.folder / "query" / QUERY[0]).unlink()
        with pytest.raises(DataError, match="query has 3 images, 4 expected"):
            load_set("market1501", market)

    def test_runs(self, market, bench, tmp_path) -> None:
        output = bench(
            "run", "-d", "mlr_market1501", "-m", "bicubic+nfst", "--splits", 0, "--jobs", 1, "--data", market,
            "--results", tmp_path / "results",
        )  # fmt: skip
        assert output.code == 0, output.err
        assert "bicubic+nfst |" in output.out


@pytest.mark.data
@pytest.mark.slow
def test_doctor_on_the_real_training_part(data_root, bench, tmp_path) -> None:
    if not (data_root / Market1501.folder).is_dir():
        pytest.skip(f"no {data_root / Market1501.folder}")
    if (data_root / Market1501.folder / "query").is_dir():
        pytest.skip("the test part is there too")
    output = bench("doctor", "market1501", "--data", data_root, "--results", tmp_path)
    assert output.code == 3
    assert "the test part is missing (query and bounding_box_test in " in output.err
    assert "12,936 images, 751 of 1,501 people, 6 cameras; height 128, width 64" in output.out
    assert "does not decode" not in output.out
    assert "two identities" not in output.out
