"""Stored rows computed a second time: what repeats is marked, what does not is left as it is and said."""

import json

import msgspec
import pytest

from bench.engine import verify as module
from bench.engine.store import Store
from bench.engine.verify import NOISE, largest_difference
from tests.cells import record
from tests.test_budget import TRAINED

SMALL = "synthetic[identities=24]"
ROW = ("-m", "bicubic+xqda", "-d", SMALL, "--splits", "0-2", "--jobs", "1")


@pytest.fixture
def store(bench, tmp_path) -> Store:
    assert bench("run", *ROW, "--results", tmp_path).code == 0
    return Store(tmp_path)


def verified(store: Store) -> list[int]:
    """How often each cell has been verified."""
    return [len(result.finished.verified) for result in store.read_all()[0]]


def change(store: Store, **fields: object) -> None:
    """Let the stored cells say something else."""
    for result in store.read_all()[0]:
        store.update(result.cell, msgspec.structs.replace(result.finished, **fields))


def rename(store: Store, version: int) -> None:
    """Let the stored cells be of another version of the method."""
    for path in store.files():
        (result,) = (r for r in store.read_all()[0] if r.path == path)
        depends = json.loads(json.dumps(result.cell.depends))
        depends["method"]["version"] = version
        older = msgspec.structs.replace(result.finished)
        store.remove(result)
        cell = type(result.cell)(**{**vars(result.cell), "depends": depends})
        store.update(cell, older)


def test_a_row_that_repeats_is_marked_each_time(bench, store) -> None:
    before = [result.finished.computed for result in store.read_all()[0]]
    for times in (1, 2):
        output = bench("run", *ROW, "--results", store.folder, "--verify")
        assert output.code == 0
        assert "repeats exactly; 3 cells stand" in output.out
        assert verified(store) == [times] * 3
    marks = store.read_all()[0][0].finished.verified
    assert all(mark.difference == 0 and mark.split in (0, 1, 2) for mark in marks)
    assert [result.finished.computed for result in store.read_all()[0]] == before, "who computed a cell never changes"


def test_cells_of_an_older_version_that_repeat_count_for_the_present_one(bench, store) -> None:
    rename(store, version=0)
    assert "stale" in bench("status", "--results", store.folder).out
    output = bench("run", *ROW, "--results", store.folder, "--verify")
    assert output.code == 0
    assert "repeats exactly; 3 cells stand" in output.out
    assert "stale" not in bench("status", "--results", store.folder).out
    assert verified(store) == [1] * 3


@pytest.mark.parametrize("fields", [{"map": 0.123}, {"probe_ranks": (1.0,), "probe_hits": ()}], ids=["mAP", "one rank"])
def test_a_row_that_differs_is_left_as_it_is(bench, store, fields) -> None:
    change(store, **fields)
    output = bench("run", *ROW, "--results", store.folder, "--verify")
    assert output.code == 1
    assert "run it with --force" in output.out
    assert verified(store) == [0] * 3


def test_networks_may_differ_by_noise(bench, store, monkeypatch) -> None:
    monkeypatch.setattr(module, "has_profiles", lambda method: True)
    near = [result.finished.map + NOISE / 2 for result in store.read_all()[0]]
    for result, value in zip(store.read_all()[0], near, strict=True):
        store.update(result.cell, msgspec.structs.replace(result.finished, map=value))
    output = bench("run", *ROW, "--results", store.folder, "--verify")
    assert "within noise; 3 cells stand" in output.out
    assert store.read_all()[0][0].finished.verified[0].difference == pytest.approx(NOISE / 2)


@pytest.mark.usefixtures("contract_holds", "one_thread")
def test_a_network_is_trained_again_each_time(bench, tmp_path, monkeypatch) -> None:
    """Nothing that the run or an earlier verification left stands in for a training."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "sitter.py").write_text(TRAINED)
    row = ("-m", "sitter", "-d", SMALL, "--splits", 0, "--jobs", 1, "--plugins", tmp_path / "plugins")
    store = tmp_path / "store"
    assert bench("run", *row, "--results", store).code == 0
    trained = []
    monkeypatch.setattr("bench.learning.training.resume", lambda *_: pytest.fail("a checkpoint was gone on from"))
    monkeypatch.setattr("bench.learning.training._record", lambda *_: trained.append(1))
    for _ in range(2):
        assert "repeats exactly" in bench("run", *row, "--results", store, "--verify").out
    assert len(trained) == 2 * 3, "updates 0, 10 and 19 of the one model"
    assert not list(store.glob("distances/checkpoints/*"))


def test_nothing_to_verify(bench, tmp_path) -> None:
    output = bench("run", *ROW, "--results", tmp_path, "--verify")
    assert "no" in output.out
    assert not list(tmp_path.rglob("split*.json"))


def test_the_largest_difference_is_of_any_rank_or_map() -> None:
    a = record([0.5, 0.6, 0.7])
    assert largest_difference(a, a) == 0
    assert largest_difference(a, record([0.5, 0.63, 0.7])) == pytest.approx(0.03)
    assert largest_difference(a, record([0.5, 0.6, 0.7], map=0.9)) == pytest.approx(0.4)
    assert largest_difference(a, record([0.5, 0.6, 0.7], fusion="weighted")) == 1
