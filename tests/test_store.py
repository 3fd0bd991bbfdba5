"""Results on disk: what is put is got, what is damaged is named, and nothing is ever half there."""

import errno
import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.engine.record import FORMAT, Scores
from bench.engine.snapshot import Snapshot
from bench.engine.store import Store, read_stores
from bench.errors import BenchError
from tests.cells import cell, failure, record

CELL = cell("sing[alpha=0.0,anchors=1/2+1/4]", "caviar[split_file=sha256:0123456789ab]", 3, "quick", 5)
DISTANCES = {"1/2": np.array([[0.1, 1 / 3]]), "1/4": np.array([[np.pi, -1.0]])}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def listed(store: Store) -> list[str]:
    return sorted(str(p.relative_to(store.folder)) for p in store.folder.rglob("*") if p.is_file())


def test_round_trip(store) -> None:
    assert store.get(CELL) is None
    lists = tuple(map(tuple, LISTS))
    written = record([0.1, 1 / 3], sigma={"1/2+1/4": 0.25}, subsets={"1/2": Scores((0.1,) * 20, 1 / 7)}, nearest=lists)
    store.put(CELL, written, DISTANCES)
    found = store.get(CELL)
    assert (found.cell, found.record, found.failed) == (CELL, written, False)
    (again,), problems = store.read_all()
    assert (again.record, again.origin, problems) == (written, "results", [])


def test_distances_are_kept_beside_to_the_last_bit(store) -> None:
    assert store.distances(CELL) is None
    store.put(CELL, record([1]), DISTANCES)
    kept = store.distances(CELL)
    assert sorted(kept) == ["1/2", "1/4"]
    assert all(np.array_equal(kept[m], DISTANCES[m]) and kept[m].dtype == np.float64 for m in kept)


def test_where_files_lie(store) -> None:
    store.put(CELL, record([1]), DISTANCES)
    name = f"split3-seed5-quick-{CELL.fingerprint}.json"
    folder = "caviar[split_file=sha256:0123456789ab]/sing[alpha=0.0,anchors=1-2+1-4]"
    assert listed(store) == [f"{folder}/{name}", f"distances/{CELL.fingerprint}.npz"]


def test_a_file_is_json_with_a_line_for_each_field(store) -> None:
    store.put(CELL, record([0.5]), DISTANCES)
    text = store.path(CELL).read_text()
    content = json.loads(text)
    assert content["format"] == FORMAT
    assert content["cell"]["dataset"] == CELL.dataset
    assert len(text.splitlines()) == len(content) + len(content["record"]) + 3


CHANGES = {
    "method": "l2",
    "dataset": "viper",
    "split": 4,
    "seed": 6,
    "profile": "smoke",
    "data": "e" * 64,
    "weights": ("f" * 64,),
    "depends": {"parts": {"scoring": 99}},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_cell_that_differs_in_any_field_is_another(store, name) -> None:
    other = replace(CELL, **{name: CHANGES[name]})
    assert other.fingerprint != CELL.fingerprint
    assert (other.row == CELL.row) == (name == "split"), "only the splits of one row are averaged"
    store.put(other, record([1]), DISTANCES)
    assert store.get(CELL) is None


class TestOthersAtTheSamePlace:
    def test_are_of_another_fingerprint(self, store) -> None:
        older, elsewhere = replace(CELL, depends={"parts": {}}), replace(CELL, split=2)
        for some in (older, elsewhere):
            store.put(some, record([0.5]), DISTANCES)
        assert [r.cell for r in store.others(CELL)] == [older]

    def test_go_when_the_cell_is_computed_with_the_same_data_and_weights(self, store) -> None:
        older, other_weights = replace(CELL, depends={"parts": {}}), replace(CELL, weights=("f" * 64,))
        for some in (older, other_weights):
            store.put(some, record([0.5]), DISTANCES)
        store.put(CELL, record([0.6]), DISTANCES)
        left = {r.cell.fingerprint for r in store.read_all()[0]}
        assert left == {CELL.fingerprint, other_weights.fingerprint}


def content_of(store: Store) -> dict:
    return json.loads(store.path(CELL).read_text())


def changed(store: Store, *path: str, value: object) -> str:
    content = inner = content_of(store)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(content)


VERIFIED = {"commit": None, "date": "2026-11-01", "split": 0, "machine": "", "libraries": {}, "difference": 0}
LISTS = [[*range(10)]] * 250
"""Of every probe of `tests.cells.record`."""
DAMAGE = {
    "empty": lambda s: "",
    "truncated": lambda s: s.path(CELL).read_text()[:300],
    "no JSON": lambda s: "rank-1 37.3",
    "a list": lambda s: "[1, 2]",
    "null": lambda s: "null",
    "an older format": lambda s: changed(s, "format", value=1),
    "no cell": lambda s: json.dumps({"format": FORMAT}),
    "a strange cell": lambda s: changed(s, "cell", value={"colour": "red"}),
    "deep nesting": lambda s: "[" * 100_000,
    "NaN": lambda s: changed(s, "record", "cmc", value=[float("nan")]),
    "a huge CMC": lambda s: changed(s, "record", "cmc", value=[1e308]),
    "a negative CMC": lambda s: changed(s, "record", "cmc", value=[-5, 0.5]),
    "a falling CMC": lambda s: changed(s, "record", "cmc", value=[0.5, 0.4]),
    "an empty CMC": lambda s: changed(s, "record", "cmc", value=[]),
    "text for a CMC": lambda s: changed(s, "record", "cmc", value="0.5"),
    "a falling CMC of a subset": lambda s: changed(s, "record", "subsets", value={"1/2": {"cmc": [1, 0.5], "map": 1}}),
    "mAP above one": lambda s: changed(s, "record", "map", value=1.5),
    "no sizes": lambda s: changed(s, "record", "sizes", value={}),
    "a CMC shorter than the gallery": lambda s: changed(s, "record", "cmc", value=[0.5]),
    "a CMC longer than the gallery": lambda s: changed(s, "record", "cmc", value=[0.5] * 251),
    "a short CMC of a subset": lambda s: changed(s, "record", "subsets", value={"1/2": {"cmc": [1], "map": 1}}),
    "sizes of nobody": lambda s: changed(s, "record", "sizes", "test_people", value=0),
    "sizes of more people than there are": lambda s: changed(s, "record", "sizes", "test_people", value=10**30),
    "a negative count": lambda s: changed(s, "record", "sizes", "gallery_images", value=-1),
    "negative threads": lambda s: changed(s, "record", "computed", "threads", value=-1),
    "a negative split": lambda s: changed(s, "cell", "split", value=-1),
    "a huge seed": lambda s: changed(s, "cell", "seed", value=10**30),
    "a verification of no size": lambda s: changed(s, "record", "verified", value=[{**VERIFIED, "difference": 1e308}]),
    "ranks beyond the gallery": lambda s: changed(s, "record", "probe_ranks", value=[251]),
    "a huge cost": lambda s: changed(s, "record", "cost", value={"total_seconds": 1e308}),
    "no total cost": lambda s: changed(s, "record", "cost", value={}),
    "ranks below one": lambda s: changed(s, "record", "probe_ranks", value=[0.5]),
    "nearest images of too few probes": lambda s: changed(s, "record", "nearest", value=LISTS[1:]),
    "nearest images beyond the gallery": lambda s: changed(s, "record", "nearest", value=[[*range(9), 250]] * 250),
    "negative nearest images": lambda s: changed(s, "record", "nearest", value=[[*range(9), -1]] * 250),
    "nearest images that are text": lambda s: changed(s, "record", "nearest", value=[["1"] * 10] * 250),
    "nearest images named twice": lambda s: changed(s, "record", "nearest", value=[[*range(9), 0]] * 250),
    "nearest images of two lengths": lambda s: changed(s, "record", "nearest", value=[*LISTS[1:], LISTS[0][1:]]),
    "short lists of nearest images": lambda s: changed(s, "record", "nearest", value=[[1, 2, 3]] * 250),
    "long lists of nearest images": lambda s: changed(s, "record", "nearest", value=[[*range(11)]] * 250),
    "empty lists of nearest images": lambda s: changed(s, "record", "nearest", value=[[]] * 250),
    "hits of more probes": lambda s: changed(s, "record", "probe_hits", value=[1, 1]),
    "a hit above one": lambda s: changed(s, "record", "probe_hits", value=[1.5]),
    "sigma of zero": lambda s: changed(s, "record", "sigma", value={"1/2": 0.0}),
    "negative cost": lambda s: changed(s, "record", "cost", value={"total_seconds": -1}),
    "a split that is text": lambda s: changed(s, "cell", "split", value="3"),
    "a spec that does not parse": lambda s: changed(s, "cell", "method", value="sing[["),
    "another cell": lambda s: changed(s, "cell", "method", value="sing"),
    "another fingerprint": lambda s: changed(s, "fingerprint", value="0" * 16),
    "no outcome": lambda s: changed(s, "record", value=None),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_and_left_alone(store, damage) -> None:
    good = replace(CELL, split=0)
    for some in (CELL, good):
        store.put(some, record([1]), DISTANCES)
    path, text = store.path(CELL), damage(store)
    path.write_text(text)
    with pytest.raises(BenchError, match=r"is not a readable result: .*; remove it or run the cell again") as caught:
        store.get(CELL)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    results, problems = store.read_all()
    assert [r.cell for r in results] == [good]
    assert problems == [str(caught.value)]
    assert path.read_text() == text


def test_a_file_under_another_cells_name_is_no_result(store) -> None:
    store.put(CELL, record([1]), DISTANCES)
    store.path(CELL).rename(store.path(replace(CELL, split=4)))
    assert store.read_all()[0] == []
    assert "which belongs into" in store.read_all()[1][0]


def test_a_file_of_a_newer_version_is_never_to_be_removed(store) -> None:
    store.put(CELL, record([1]), DISTANCES)
    store.path(CELL).write_text(changed(store, "format", value=FORMAT + 1))
    (line,) = store.read_all()[1]
    assert "newer version of bench" in line
    assert "remove" not in line
    assert "delete" not in line


class TestWhatIsNoFile:
    @pytest.fixture
    def path(self, store) -> Path:
        path = store.path(CELL)
        path.parent.mkdir(parents=True)
        return path

    def test_a_pipe(self, store, path) -> None:
        os.mkfifo(path)
        assert "not a regular file" in store.read_all()[1][0]

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
    def test_a_link_to_an_endless_device(self, store, path) -> None:
        path.symlink_to("/dev/zero")
        assert "not a regular file" in store.read_all()[1][0]

    def test_a_link_to_nothing(self, store, path) -> None:
        path.symlink_to(path.with_name("nothing"))
        assert "No such file" in store.read_all()[1][0]

    def test_a_folder(self, store, path) -> None:
        path.mkdir()
        assert "not a regular file" in store.read_all()[1][0]

    def test_a_huge_file(self, store, path) -> None:
        with path.open("wb") as file:
            file.truncate(100 * 2**20)
        assert "bytes; a result has at most" in store.read_all()[1][0]


def test_several_stores_read_together(tmp_path) -> None:
    first, second = Store(tmp_path / "measured"), Store(tmp_path / "local")
    first.put(CELL, record([0.5]), DISTANCES)
    for some in (CELL, replace(CELL, split=4)):
        second.put(some, record([0.6]), DISTANCES)
    results, problems = read_stores([first.folder, second.folder, tmp_path / "nowhere"])
    assert {(r.cell.split, r.origin, r.finished.cmc[0]) for r in results} == {(3, "measured", 0.5), (4, "local", 0.6)}
    assert problems == []


class TestFailures:
    def test_are_never_returned_as_finished(self, store) -> None:
        store.put_failure(CELL, failure("no memory", "..."))
        assert store.get(CELL) is None
        assert store.read_all() == ([], [])
        (failed,), _ = store.read_all(failures=True)
        assert (failed.cell, failed.failed, failed.failure.error) == (CELL, True, "no memory")

    def test_go_when_the_cell_succeeds(self, store) -> None:
        store.put_failure(CELL, failure("no memory"))
        other = replace(CELL, split=4)
        store.put_failure(other, failure("still none"))
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
            store.put_failure(CELL, failure("x"))
        assert listed(store) == []


def test_a_record_that_could_not_be_read_back_is_not_written(store) -> None:
    broken = msgspec.structs.replace(record([0.5]), curves={"all": {"m": {"loss": [float("nan")]}}})
    with pytest.raises(ValueError, match="JSON"):
        store.put(CELL, broken, DISTANCES)
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


class TestSnapshot:
    def test_finds_what_a_store_finds(self, store) -> None:
        older, failed = replace(CELL, depends={"parts": {}}), replace(CELL, seed=9)
        for some in (older, CELL, replace(CELL, split=2)):
            store.put(some, record([0.5]), DISTANCES)
        store.put_failure(failed, failure("it broke"))
        seen = Snapshot(store.folder)
        for some in (CELL, older, failed, replace(CELL, method="l2")):
            assert (seen.get(some), seen.others(some)) == (store.get(some), store.others(some))

    def test_lists_each_folder_once(self, store, monkeypatch) -> None:
        cells = [replace(CELL, split=split) for split in range(5)]
        for some in cells:
            store.put(some, record([0.5]), DISTANCES)
        listed = []
        monkeypatch.setattr("os.listdir", lambda folder: listed.append(folder) or [])
        seen = Snapshot(store.folder)
        assert [seen.others(some) for some in cells] == [[]] * 5
        assert listed == [store.folder_of(CELL)]


def hammer(folder: Path, barrier, seconds: float, problems) -> None:
    """Put the same cells again and again, and read them in between."""
    store = Store(folder)
    cells = [replace(CELL, split=split) for split in range(3)]
    barrier.wait()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            for some in cells:
                store.put(some, record([0.5]), DISTANCES)
                assert store.get(some).record == record([0.5])
                store.distances(some)
        problems.put(read_stores([folder])[1])
    except BaseException as error:
        problems.put([repr(error)])


def test_many_that_store_the_same_cells_disturb_nobody(store) -> None:
    """As where locks do not work, on some network file systems."""
    context = multiprocessing.get_context("spawn")
    barrier, problems = context.Barrier(4), context.Queue()
    writers = [context.Process(target=hammer, args=(store.folder, barrier, 1.0, problems)) for _ in range(4)]
    for writer in writers:
        writer.start()
    found = [problems.get(timeout=100) for _ in writers]
    for writer in writers:
        writer.join()
    assert found == [[]] * 4
    assert len(store.read_all()[0]) == 3
    assert not list(store.folder.rglob("*.partial"))
