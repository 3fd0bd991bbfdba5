"""Tables of images: what a run writes of a data set, who carries it along, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.engine import inventory
from bench.engine.cache import Cache, cache_folder
from bench.engine.data import load
from bench.engine.inventory import FORMAT, Inventory, Photo
from bench.engine.store import Store
from bench.errors import BenchError
from bench.plugin.spec import dataset_spec
from bench.protocol.splits import make_split
from tests.cells import cell, fill

SMALL = "synthetic[identities=12]"
SPLITS = "split,identity,part\n" + "".join(f"3,{i:04d},{'train' if i % 2 else 'test'}\n" for i in range(12))


@pytest.fixture
def small() -> Inventory:
    sides = [("gallery", "a", ""), ("probe", "b", "1/2")]
    images = [Photo(side, p, c, 20, 10, ratio, f"{c}/{p}.png") for p in "1234" for side, c, ratio in sides]
    return Inventory(FORMAT, "caviar", "d" * 64, None, (*images, Photo("distractor", "9", "a", 20, 10, "", "")))


def run(bench, folder: Path, dataset: str, splits: str = "0") -> None:
    arguments = ("run", "-m", "bicubic+l2", "-d", dataset, "--splits", splits, "--jobs", 1, "--results", folder)
    assert bench(*arguments).code == 0


def test_a_run_writes_what_the_data_set_holds(bench, tmp_path, contract_holds) -> None:
    run(bench, tmp_path, SMALL)
    ((result,), _) = Store(tmp_path).read_all()
    table = inventory.find([tmp_path], result.cell)
    data = load(dataset_spec(SMALL), None, 0, Cache(cache_folder()))
    assert table.people == data.identities
    assert table.identity.tolist() == data.identity.tolist()
    assert (table.side == "probe").tolist() == data.probe.tolist()
    assert table.area.tolist() == data.images.areas.tolist()
    assert [photo.camera for photo in table.images] == data.camera.tolist()
    split = make_split(data.identities, 0, 0)
    probes = np.flatnonzero(data.probe & np.isin(data.identity, split.test))
    assert table.probes(table.split(0, 0)).tolist() == probes.tolist()
    assert len(probes) == len(result.finished.probe_ranks) == len(result.finished.probe_hits)
    assert np.mean(result.finished.probe_hits) == pytest.approx(result.finished.cmc[0])
    path = next(tmp_path.glob("*/images-*.json"))
    before = path.read_bytes()
    path.unlink()
    run(bench, tmp_path, SMALL)
    assert path.read_bytes() == before, "written again when it is missing, though no cell was"


def test_splits_of_a_file_are_kept(bench, tmp_path, contract_holds) -> None:
    (tmp_path / "splits.csv").write_text(SPLITS)
    run(bench, tmp_path / "store", f"synthetic[identities=12,split_file={tmp_path / 'splits.csv'}]", "3")
    ((result,), _) = Store(tmp_path / "store").read_all()
    table = inventory.find([tmp_path / "store"], result.cell)
    assert list(table.splits) == [3]
    assert [table.people[i] for i in table.split(3, 0).test] == [f"{i:04d}" for i in range(0, 12, 2)]
    with pytest.raises(BenchError, match="has no split 0"):
        table.split(0, 0)


def test_it_reads_as_it_was_written(small, tmp_path) -> None:
    inventory.write(Store(tmp_path), small)
    read = inventory.find([tmp_path / "none", tmp_path], cell("bicubic+xqda", "caviar"))
    assert read == small
    assert read.gallery(make_split(read.people, 0, 0)).tolist()[-1] == 8, "distractors are in every gallery"
    assert inventory.find([tmp_path], cell("bicubic+xqda", "caviar", data="e" * 64)) is None


def test_adopted_cells_bring_it_along(bench, small, tmp_path, monkeypatch) -> None:
    own, measured = tmp_path / "own", tmp_path / "measured"
    measured.mkdir()
    monkeypatch.setattr("bench.engine.store.MEASURED", measured)
    fill(own, "bicubic+xqda", "caviar", [0.1, 0.2])
    inventory.write(Store(own), small)
    assert bench("adopt", "-d", "caviar", "--splits", "0", "--results", own).code == 0
    (path,) = inventory.files(Store(measured))
    assert inventory.read(path) == small
    path.unlink()
    (broken,) = inventory.files(Store(own))
    broken.write_text("{")
    output = bench("adopt", "-d", "caviar", "--results", own)
    assert (output.code, len(output.err.splitlines())) == (1, 1)
    assert f"{broken} is not a readable table of images" in output.err
    assert len(Store(measured).read_all()[0]) == 2, "the cells are adopted all the same"


WRONG = {
    "an older format": ({"format": 0}, "format 0, this version reads format 1"),
    "another data set": ({"dataset": "viper"}, "it is of viper"),
    "another digest": ({"data": "e" * 64}, "data eeee"),
    "a digest that is a path": ({"data": "d" * 16 + "/../" * 12}, "data"),
    "no image": ({"images": []}, "images"),
    "a side of its own": ({"images": [["left", "1", "a", 1, 1, "", ""]] * 2}, "left"),
    "a size that is none": ({"images": [["probe", "1", "a", 0, 1, "", ""]] * 2}, "1"),
    "an unknown ratio": ({"images": [["probe", "1", "a", 1, 1, "1/5", ""]] * 2}, "ratio '1/5'"),
    "a person of one side": ({"images": [["probe", "1", "a", 1, 1, "", ""]] * 2}, "both sides"),
    "a person too many": ({"splits": {"0": [[0, 1], [2, 4]]}}, "person 4 of 4 people"),
    "a field of its own": ({"pixels": [1]}, "pixels"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(small, tmp_path, case) -> None:
    changed, message = WRONG[case]
    inventory.write(Store(tmp_path), small)
    (path,) = inventory.files(Store(tmp_path))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(BenchError, match="is not a readable table of images") as caught:
        inventory.read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_of_a_newer_bench_is_not_to_be_removed(small, tmp_path) -> None:
    inventory.write(Store(tmp_path), small)
    (path,) = inventory.files(Store(tmp_path))
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1, "more": 1}))
    with pytest.raises(BenchError, match="was written by a newer version of bench") as caught:
        inventory.read(path)
    assert "remove" not in str(caught.value)


def test_a_table_that_could_not_be_read_again_is_not_written(small, tmp_path) -> None:
    long = Photo("distractor", "8", "a" * 2000, 1, 1, "", "")
    with pytest.raises(BenchError):
        inventory.write(Store(tmp_path), Inventory(FORMAT, "caviar", "d" * 64, None, (*small.images, long)))
    assert inventory.files(Store(tmp_path)) == []
