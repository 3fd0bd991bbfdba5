"""Market-1501's file names, training part and protocol, on a folder of the official layout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import DataError
from datasets._market1501 import training_images


def write(folder: Path, *names: str) -> None:
    """Images of those names, each of its own colour."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        grey = sum(name.encode()) % 256
        Image.fromarray(np.full((128, 64, 3), grey, np.uint8)).save(folder / name)


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
        with pytest.raises(DataError, match="no folder .*bounding_box_train"):
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
