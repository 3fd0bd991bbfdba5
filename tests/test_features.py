"""`bench features`: pictures outside any protocol, described by what needs no fitting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.engine.features import describer, write_features
from bench.errors import BenchError
from bench.plugin.base import Method
from bench.protocol.resize import resize_all
from datasets.synthetic import draw_person
from methods._lomo import LOMO
from tests.conftest import ROOT
from tests.test_bad_input import one_line
from tests.toys import spec


@pytest.fixture
def pictures(tmp_path) -> dict[str, np.ndarray]:
    """Images of several sizes, by their names below ``pictures``, in the order of names."""
    names = ["B.png", "a/0.png", "a/b/1.png", "é.png"]
    images = {name: draw_person(i, "a")[:: i + 1, :: i + 1] for i, name in enumerate(names)}
    for name, image in reversed(images.items()):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "pictures" / "notes.txt").write_text("")
    return images


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize("name", ["l2", "bicubic+l2", "l2[retinex=none]"])
def test_features_are_those_of_the_extractor_in_the_order_of_names(bench, tmp_path, pictures, name) -> None:
    output = bench("features", name, tmp_path / "pictures", "-o", tmp_path / "f.npz")
    assert (output.code, output.err) == (0, "")
    assert output.out == f"wrote {tmp_path / 'f.npz'}: 4 pictures, 26,960 features each\n"
    found = read(tmp_path / "f.npz")
    assert set(found) == {"features", "names", "about"}
    assert found["names"].tolist() == list(pictures) == sorted(pictures)
    assert found["features"].dtype == np.float32
    lomo = LOMO("none" if "none" in name else "msrcp")
    assert np.array_equal(found["features"], lomo(resize_all(list(pictures.values()), (128, 48))))
    about = json.loads(found["about"].item())
    assert (about["method"], about["input_size"], about["plugins"]["l2"]) == (name, [128, 48], 1)


def test_files_by_name(bench, tmp_path, pictures) -> None:
    files = [tmp_path / "pictures" / name for name in ("é.png", "a/0.png")]
    assert bench("features", "l2", *files, "-o", tmp_path / "f.npz").code == 0
    assert read(tmp_path / "f.npz")["names"].tolist() == ["0.png", "é.png"]
    (tmp_path / "0.png").write_bytes(b"")
    output = bench("features", "l2", *files, tmp_path / "0.png", "-o", tmp_path / "f.npz")
    one_line(output, 3, "are both called 0.png")


def test_a_pre_trained_network(bench, tmp_path, pictures) -> None:
    where = (tmp_path / "pictures" / "a", "-o", tmp_path / "f.npz", "--device", "cpu")
    one_line(bench("features", "dgd", *where), 2, "dgd[steps=0] describes pictures")
    assert bench("features", "dgd[steps=0,precision=float32]", *where).code == 0
    found = read(tmp_path / "f.npz")
    assert found["features"].shape == (2, 256)
    assert "sha256" in json.loads(found["about"].item())["extractors"][0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("xqda", "xqda is fitted on labelled people"),
        ("judea", "judea is fitted on labelled people"),
        ("srcnn+l2", "srcnn has a model for each down-sampling ratio"),
        ("l3", "no method 'l3'"),
        ("l2[retinex=x]", "retinex"),
    ],
)
def test_what_must_be_fitted_says_so(bench, tmp_path, pictures, name, said) -> None:
    one_line(bench("features", name, tmp_path / "pictures", "-o", tmp_path / "f.npz"), 2, said)
    assert not (tmp_path / "f.npz").exists()


class TestFaults:
    def test_of_pictures(self, bench, tmp_path, pictures) -> None:
        out = ("-o", tmp_path / "f.npz")
        one_line(bench("features", "l2", tmp_path / "none", *out), 3, "there is no")
        (tmp_path / "empty").mkdir()
        one_line(bench("features", "l2", tmp_path / "empty", *out), 3, "no image below")
        (tmp_path / "pictures" / "broken.png").write_bytes(b"no image")
        one_line(bench("features", "l2", tmp_path / "pictures", *out), 3, "broken.png is not a readable image")
        (tmp_path / "empty" / os.fsdecode(b"\xff.png")).write_bytes(b"x")
        one_line(bench("features", "l2", tmp_path / "empty", *out), 3, "is not UTF-8")
        assert not list(tmp_path.glob("f.npz*")), "no file where there is an error"

    def test_of_the_file(self, bench, tmp_path, pictures) -> None:
        one_line(bench("features", "l2", tmp_path / "pictures", "-o", tmp_path), 2, "is a folder")
        output = bench("features", "l2", tmp_path / "pictures", "-o", tmp_path / "pictures" / "B.png" / "f.npz")
        one_line(output, 1, "cannot write")


class Odd(Method):
    """Features that are not what they should be."""

    name = "odd"
    input_size = (8, 4)

    def __init__(self, how: str = "") -> None:
        self.how = how

    def extractors(self):
        return [self.describe]

    def describe(self, images) -> np.ndarray:
        if self.how == "raise":
            raise ValueError("no such image")
        if self.how == "nan":
            return np.full((len(images), 2), np.nan)
        return np.zeros((1, 2)) if self.how == "rows" else np.zeros((len(images), len(images)))


@pytest.mark.parametrize(
    ("how", "said"),
    [("raise", "no such image"), ("nan", "finite"), ("rows", "a row of"), ("width", "features of 6 numbers after")],
)
def test_extractors_that_fail(tmp_path, pictures, how, said) -> None:
    shown = describer(spec(Odd, parameters={"how": how}), None, "cpu")
    paths = [tmp_path / "pictures" / "B.png"] * 70
    with pytest.raises(BenchError, match=said):
        write_features(tmp_path / "f.npz", ["x"] * 70, shown.blocks(paths), {})
    assert not list(tmp_path.glob("f.npz*"))


def test_torch_is_imported_for_networks_only(tmp_path, pictures) -> None:
    commands = [
        ["init-method", "mine", "--plugins", tmp_path / "plugins"],
        ["init-dataset", tmp_path / "pictures", "--pattern", "{camera}/{identity}.png", "-o", tmp_path / "list.csv"],
        ["features", "l2", tmp_path / "pictures", "-o", tmp_path / "f.npz"],
        ["export", "-o", tmp_path / "all.csv", "--results", tmp_path / "cells"],
        ["table", "2", "--format", "html", "--results", tmp_path / "cells"],
    ]
    for name in ("plugins", "cells"):
        (tmp_path / name).mkdir()
    code = f"""
import sys
from bench.cli import main
codes = [main(command) for command in {[[str(word) for word in command] for command in commands]}]
print(codes, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 3, 0, 0, 0] False"
