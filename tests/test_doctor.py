"""What `doctor` finds, on folders with known faults."""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from bench.engine.doctor import census, gpus, look
from bench.plugin.base import Photo
from bench.plugin.registry import registry
from datasets.synthetic import Synthetic
from datasets.viper import VIPeR
from tests.conftest import bench_process
from tests.test_bad_input import one_line, replace_file, write_viper


def image(value: int, height: int = 8, width: int = 4) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def viper(tmp_path, monkeypatch) -> Path:
    """VIPeR's layout with four people of one image, each of its own grey."""
    root = write_viper(tmp_path / "data", people=4)
    for path in (root / "VIPeR").rglob("*.bmp"):
        path.unlink()
        Image.fromarray(image(int(path.stem[:3]) + 100 * path.stem.endswith("_90"))).save(path)
    monkeypatch.setattr(VIPeR, "expected", {"images": 8, "identities": 4})
    return root


@pytest.fixture
def doctor(bench, tmp_path, viper):
    """`doctor --json` on the four people; the exit code, what it says of VIPeR, and standard error."""

    def call(*arguments: object):
        output = bench("doctor", "--data", viper, "--results", tmp_path / "results", "--json", *arguments)
        return output, json.loads(output.out)

    return call


def count(photos: list[Photo]) -> dict:
    return census(photos, [look(photo, "toy") for photo in photos])


class TestCensus:
    def test_counts_and_sizes(self) -> None:
        photos = [
            Photo(image(1), "1", "a"),
            Photo(image(2, 10, 5), "1", "b"),
            Photo(image(3), "2", "a"),
            Photo(image(4, 9, 5), "x", "c", distractor=True),
        ]
        found = count(photos)
        assert {key: found[key] for key in ("images", "identities", "cameras", "distractors")} == {
            "images": 4,
            "identities": 2,
            "cameras": 2,
            "distractors": 1,
        }
        assert (found["heights"], found["widths"]) == ([8, 10], [4, 5])
        assert found["one_camera"] == ["2"]

    def test_same_image_under_two_identities(self) -> None:
        photos = [Photo(image(7), "1", "a"), Photo(image(7), "1", "b"), Photo(image(7), "2", "a")]
        assert count(photos)["shared"] == [["an image of camera a (person 1)", "an image of camera a (person 2)"]]
        assert count(photos[:2])["shared"] == [], "the same image of one person twice is not across identities"

    def test_a_set_without_camera_labels_has_nobody_of_one_camera(self) -> None:
        photos = [Photo(image(1), "1", "unlabelled"), Photo(image(2), "1", "unlabelled")]
        assert count(photos)["one_camera"] == []

    def test_nothing(self) -> None:
        assert count([])["images"] == 0


class TestNamed:
    def test_complete(self, doctor) -> None:
        output, findings = doctor("viper")
        assert output.code == 0
        assert list(findings["datasets"]) == ["viper"]
        found = findings["datasets"]["viper"]
        assert found["ready"]
        assert found["expected"]["images"] == found["images"] == 8
        assert (found["identities"], found["cameras"], found["probe_images"]) == (4, 2, 4)
        assert (found["heights"], found["widths"]) == ([8, 8], [4, 4])
        assert found["shared"] == found["one_camera"] == []
        assert "VIPeR.v1.0 from the Vision Lab" in found["obtain"]

    def test_text(self, bench, viper, tmp_path) -> None:
        output = bench("doctor", "viper", "--data", viper, "--results", tmp_path / "results")
        assert "ready: 8 images, 4 people, 2 cameras as in the release; height 8, width 4, 4 probes" in output.out
        assert "source: VIPeR.v1.0" in output.out

    def test_missing_image(self, doctor, bench, viper, tmp_path) -> None:
        (viper / "VIPeR" / "cam_a" / "002_0.bmp").unlink()
        output, findings = doctor("viper", "mlr_viper")
        one_line(output, 3, "viper: 7 images found, 8 expected")
        found = findings["datasets"]["mlr_viper"]
        assert (found["ready"], found["images"], found["identities"]) == (False, 7, 4)
        assert found["one_camera"] == ["2"]
        text = bench("doctor", "viper", "--data", viper, "--results", tmp_path / "results").out
        assert "7 of 8 images, 4 people" in text
        assert "seen by one camera only: 1 person: 2" in text

    def test_every_unreadable_image_is_listed(self, doctor, viper) -> None:
        broken = [viper / "VIPeR" / "cam_a" / "001_0.bmp", viper / "VIPeR" / "cam_b" / "003_90.bmp"]
        replace_file(broken[0], b"")
        replace_file(broken[1], broken[1].read_bytes()[:60])
        output, findings = doctor("viper")
        one_line(output, 3, "001_0.bmp", "not a readable image")
        lines = findings["datasets"]["viper"]["unreadable"]
        assert [str(path) in line for path, line in zip(broken, lines, strict=True)] == [True, True]

    def test_same_image_under_two_identities_is_reported_but_no_error(self, doctor, viper) -> None:
        shutil.copy(viper / "VIPeR" / "cam_a" / "001_0.bmp", viper / "VIPeR" / "cam_a" / "002_0.bmp")
        output, findings = doctor("viper")
        assert output.code == 0
        assert findings["datasets"]["viper"]["shared"] == [["001_0.bmp (person 1)", "002_0.bmp (person 2)"]]

    def test_reader_that_fails_says_what_it_saw_before(self, doctor, viper) -> None:
        (viper / "VIPeR" / "cam_b" / "copy.bmp").write_bytes(b"")
        output, findings = doctor("viper")
        one_line(output, 3, "viper: ", "copy.bmp is not named as in the release")
        assert findings["datasets"]["viper"]["images"] == 8

    def test_warnings(self, bench, viper, tmp_path) -> None:
        rows = [
            f"data/VIPeR/cam_{side}/{person:03d}_{angle}.bmp,{person},one,{resolution}"
            for person in range(4)
            for side, angle, resolution in (("a", 0, "lr"), ("b", 90, "hr"))
        ]
        (tmp_path / "ours.csv").write_text("\n".join(["path,person,camera,resolution", *rows]))
        text = bench("doctor", f"lr_manifest[file={tmp_path / 'ours.csv'}]", "--results", tmp_path / "results").out
        assert "8 images, 4 people, 1 camera; height 8" in text
        assert "warning: both sides hold images of one camera (one) for 4 of 4 people" in text

    def test_a_set_is_read_once(self, doctor, monkeypatch) -> None:
        calls, read = [], VIPeR.read
        monkeypatch.setattr(VIPeR, "read", lambda self, root: calls.append(root) or read(self, root))
        doctor("viper")
        assert len(calls) == 1

    def test_loop_of_links(self, doctor, viper) -> None:
        path = viper / "VIPeR" / "cam_a" / "001_0.bmp"
        path.unlink()
        path.symlink_to(path.name)
        output, findings = doctor("viper")
        one_line(output, 3, f"cannot read {path}", "symbolic links")
        assert len(findings["datasets"]["viper"]["unreadable"]) == 1

    def test_name_that_is_not_text(self, viper) -> None:
        name = os.fsencode(viper / "VIPeR" / "cam_a") + b"/00\xff_0.bmp"
        try:
            os.rename(viper / "VIPeR" / "cam_a" / "001_0.bmp", name)
        except OSError:
            pytest.skip("this file system takes names in UTF-8 only")
        process = bench_process("doctor", "viper", "--data", viper)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 3
        assert len(err.splitlines()) == 1
        assert "\\udcff" in err
        assert "\\udcff" in out
        assert "Traceback" not in out + err

    def test_unknown_name(self, bench) -> None:
        one_line(bench("doctor", "vipr"), 2, "no data set 'vipr'", "did you mean 'viper'?")


class TestOverview:
    def test_incomplete_sets_do_not_change_the_exit_code(self, doctor, viper, monkeypatch) -> None:
        few = list(Synthetic(identities=8).read(viper))
        monkeypatch.setattr(Synthetic, "read", lambda self, root: few)
        (viper / "VIPeR" / "cam_a" / "002_0.bmp").unlink()
        output, findings = doctor()
        assert output.code == 0
        assert set(findings["datasets"]) == set(registry().names("dataset"))
        assert findings["datasets"]["viper"]["reason"].startswith("viper: 7 images found")
        assert findings["datasets"]["synthetic"]["ready"]
        for found in findings["datasets"].values():
            assert found["ready"] or found["reason"]

    def test_machine(self, doctor) -> None:
        _, findings = doctor("viper")
        assert findings["cache"]["free_gib"] > 0
        assert findings["results"]["free_gib"] > 0
        assert findings["blas"]
        assert isinstance(findings["gpus"], list)

    def test_gpu(self, monkeypatch) -> None:
        properties = SimpleNamespace(name="A GPU", total_memory=80 * 2**30)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
        monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: properties)
        monkeypatch.setattr("torch.version.cuda", "12.8")
        assert gpus() == [{"name": "A GPU", "memory_gib": 80.0, "cuda": "12.8"}]

    def test_no_torch(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "torch", None)
        assert gpus() == []

    def test_weights_with_their_hashes(self, doctor, tmp_path) -> None:
        folder = tmp_path / "weights"
        (folder / "net").mkdir(parents=True)
        (folder / "net" / "x.pt").write_bytes(b"weights")
        (folder / "readme.txt").write_bytes(b"text")
        _, findings = doctor("viper", "--weights", folder)
        assert findings["weights"] == {
            "folder": str(folder),
            "files": [{"name": "net/x.pt", "mib": 0.0, "sha256": hashlib.sha256(b"weights").hexdigest()}],
        }

    def test_weights_folder_that_is_not_there(self, doctor, tmp_path) -> None:
        output, findings = doctor("viper", "--weights", tmp_path / "nowhere")
        assert output.code == 0
        assert "is not a folder" in findings["weights"]["problem"]
