"""Results on disk: what is put is got, what is damaged is named, and nothing is ever half there."""

import errno
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from bench.engine.store import FORMAT, Store
from bench.errors import BenchError
from tests.cells import cell, record

CELL = cell("sing[alpha=0,anchors=1/2+1/4]", "caviar[split_file=sha256:0123456789ab]", 3, "quick", 5)
DISTANCES = {"1/2": np.array([[0.1, 1 / 3]]), "1/4": np.array([[np.pi, -1.0]])}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def listed(store: Store) -> list[str]:
    return sorted(str(p.relative_to(store.folder)) for p in store.folder.rglob("*") if p.is_file())


def test_round_trip(store) -> None:
    assert store.get(CELL) is None
    written = record([0.1, 1 / 3], sigma={"1/2+1/4": 0.25})
    store.put(CELL, written, DISTANCES)
    found = store.get(CELL)
    assert (found.cell, found.record, found.failed) == (CELL, written, False)
    assert store.read_all() == ([found], [])


def test_distances_are_kept_beside_to_the_last_bit(store) -> None:
    assert store.distances(CELL) is None
    store.put(CELL, record([1]), DISTANCES)
    kept = store.distances(CELL)
    assert sorted(kept) == ["1/2", "1/4"]
    assert all(np.array_equal(kept[m], DISTANCES[m]) and kept[m].dtype == np.float64 for m in kept)


def test_where_files_lie(store) -> None:
    store.put(CELL, record([1]), DISTANCES)
    name = f"split3-seed5-quick-{CELL.key}.json"
    folder = "caviar[split_file=sha256:0123456789ab]/sing[alpha=0,anchors=1-2+1-4]"
    assert listed(store) == [f"{folder}/{name}", f"distances/{CELL.key}.npz"]


def test_a_file_is_json_with_a_line_for_each_field(store) -> None:
    store.put(CELL, record([0.5]), DISTANCES)
    text = store.path(CELL).read_text()
    content = json.loads(text)
    assert content["format"] == FORMAT
    assert content["cell"]["dataset"] == CELL.dataset
    assert len(text.splitlines()) == len(content) + 2


@pytest.mark.parametrize("name", [f.name for f in fields(CELL)])
def test_a_cell_that_differs_in_any_field_is_another(store, name) -> None:
    value = getattr(CELL, name)
    other = replace(CELL, **{name: value + 1 if isinstance(value, int) else value + "x"})
    assert other.key != CELL.key
    store.put(other, record([1]), DISTANCES)
    assert store.get(CELL) is None


DAMAGE = {
    "empty": "",
    "truncated": '{\n"format": 1,\n"cell": {"method"',
    "no JSON": "rank-1 37.3",
    "a list": "[1, 2]",
    "null": "null",
    "another format": json.dumps({"format": FORMAT + 1}),
    "no cell": json.dumps({"format": FORMAT, "cmc": [0.5]}),
    "a strange cell": json.dumps({"format": FORMAT, "cell": {"colour": "red"}, "cmc": [0.5]}),
}


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_and_left_alone(store, text) -> None:
    good = replace(CELL, split=0)
    for some in (CELL, good):
        store.put(some, record([1]), DISTANCES)
    path = store.path(CELL)
    path.write_text(text)
    with pytest.raises(BenchError, match=r"is not a readable result .*; delete it and run again") as caught:
        store.get(CELL)
    assert str(path) in str(caught.value)
    results, problems = store.read_all()
    assert [r.cell for r in results] == [good]
    assert problems == [str(caught.value)]
    assert path.read_text() == text


def test_a_record_without_a_cmc_is_no_result(store) -> None:
    store.put(CELL, {**record([1]), "cmc": []}, DISTANCES)
    with pytest.raises(BenchError, match="is not a readable result"):
        store.get(CELL)


class TestFailures:
    def test_are_never_returned_as_finished(self, store) -> None:
        store.put_failure(CELL, {"error": "no memory", "traceback": "..."})
        assert store.get(CELL) is None
        assert store.read_all() == ([], [])
        (failed,), _ = store.read_all(failures=True)
        assert (failed.cell, failed.failed, failed.record["error"]) == (CELL, True, "no memory")

    def test_go_when_the_cell_succeeds(self, store) -> None:
        store.put_failure(CELL, {"error": "no memory"})
        other = replace(CELL, split=4)
        store.put_failure(other, {"error": "still none"})
        store.put(CELL, record([1]), DISTANCES)
        assert [r.cell for r in store.read_all(failures=True)[0]] == [CELL, other]
        assert not any(r.failed for r in store.read_all()[0])


def fill_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let so many files be written, and no more."""
    written = []

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > after:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)


class TestFullDisk:
    @pytest.mark.parametrize("after", [0, 1], ids=["distances", "record"])
    def test_put_leaves_the_older_results_as_they_were(self, store, monkeypatch, after) -> None:
        older = replace(CELL, split=0)
        store.put(older, record([0.5]), DISTANCES)
        before = {p: (store.folder / p).read_bytes() for p in listed(store)}
        fill_disk(monkeypatch, after)
        with pytest.raises(BenchError, match=r"cannot write to .*: No space left on device; finished cells are kept"):
            store.put(CELL, record([1]), DISTANCES)
        assert store.get(CELL) is None
        assert not [p for p in listed(store) if "partial" in p]
        assert {p: (store.folder / p).read_bytes() for p in before} == before

    @pytest.mark.parametrize("after", [0, 1], ids=["distances", "record"])
    def test_a_result_that_cannot_be_replaced_stays(self, store, monkeypatch, after) -> None:
        store.put(CELL, record([0.5]), DISTANCES)
        fill_disk(monkeypatch, after)
        with pytest.raises(BenchError):
            store.put(CELL, record([1]), DISTANCES)
        assert store.get(CELL).record == record([0.5])

    def test_put_failure(self, store, monkeypatch) -> None:
        def refuse(self: Path, *args: object, **kwargs: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(BenchError, match=r"cannot write to .*: No space left on device"):
            store.put_failure(CELL, {"error": "x"})
        assert listed(store) == []


def test_a_value_that_json_cannot_hold_leaves_nothing(store) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.put(CELL, record([float("nan")]), DISTANCES)
    assert store.get(CELL) is None
    assert store.read_all() == ([], [])


def test_an_empty_or_missing_folder_has_no_results(store, tmp_path) -> None:
    assert store.read_all() == ([], [])
    assert Store(tmp_path).read_all(failures=True) == ([], [])


def test_damaged_distances_are_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(cell("m", "d"), record([1.0]), {"all": np.zeros((2, 2))})
    store.distances_path(cell("m", "d")).write_bytes(b"PK damaged")
    with pytest.raises(BenchError, match=r"\.npz is not readable .*--force"):
        store.distances(cell("m", "d"))
