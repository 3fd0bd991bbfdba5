"""What a run consists of where weights and training schedules matter."""

import contextlib
import math
import time
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import budget
from bench.cli import build_parser
from bench.cli.running import make_settings
from bench.engine import plan as planner
from bench.engine import run as runner
from bench.engine import todo
from bench.engine.beforehand import on_devices
from bench.engine.cache import Cache
from bench.engine.data import load
from bench.engine.store import Store
from bench.engine.workers import ending_workers, spread
from bench.errors import UsageError
from bench.learning.device import torch_threads
from bench.plugin.base import Method
from bench.plugin.registry import Registry, registry
from bench.plugin.spec import dataset_spec, method_spec
from datasets.synthetic import Synthetic
from tests.cells import record
from tests.toys import Plain, plugin

SMALL = "synthetic[identities=24]"


class Starter(Method):
    """Starts from start.mat, but in the smoke profile."""

    name = "starter"
    profiles = True
    scales = "own"

    def files(self, profile) -> tuple[str, ...]:
        return () if profile == "smoke" else ("start.mat",)


class Trainee(Plain):
    name = "trainee"
    learns = True
    profiles = True


@pytest.fixture
def settings(tmp_path, monkeypatch) -> planner.Settings:
    found = registry()
    ours = [replace(plugin(k, c), module=__name__) for k, c in (("method", Starter), ("frontend", Trainee))]
    added = Registry((*found.plugins, *ours), ())
    for module in ("bench.engine.plan", "bench.engine.identity", "bench.plugin.spec"):
        monkeypatch.setattr(f"{module}.registry", lambda: added)
    return planner.Settings(
        Store(tmp_path / "store"), Cache(tmp_path / "cache"), None, datasets=[SMALL], splits=[0], profile="quick"
    )


def with_weights(settings: planner.Settings, content: bytes, folder: Path) -> planner.Settings:
    folder.mkdir()
    (folder / "start.mat").write_bytes(content)
    return replace(settings, weights=folder)


def test_missing_weights_are_a_reason(settings) -> None:
    skipped = planner.plan(replace(settings, methods=["start*", "bicubic+xqda"])).skipped
    assert skipped == [
        f"starter on {SMALL}: starter starts from start.mat, looked for in --weights or BENCH_WEIGHTS, and neither is"
        " given"
    ]
    with pytest.raises(UsageError, match=r"^starter cannot run here: starter starts from start\.mat, looked for"):
        planner.plan(replace(settings, methods=["starter"]))
    assert len(planner.plan(replace(settings, methods=["starter"], profile="smoke")).tasks) == 1


def test_a_set_says_what_a_run_that_names_no_method_has_on_it(settings, monkeypatch) -> None:
    """Here: nothing that trains, and one variant besides; whoever names methods gets what he names."""
    monkeypatch.setattr(Synthetic, "no_training", "networks learn nothing from drawn people")
    monkeypatch.setattr(Synthetic, "variants", ("trainee+xqda[sigma=0.5]", "gone+xqda[sigma=0.5]"))
    settings = replace(settings, profile="smoke")
    everything = planner.plan(settings)
    ran = [task.method.text for task in everything.tasks]
    assert "bicubic+xqda" in ran
    assert [name for name in ran if "trainee" in name or name == "starter"] == ["trainee+xqda[sigma=0.5]"]
    (line,) = [line for line in everything.skipped if SMALL in line]
    assert line.endswith(f" on {SMALL}: networks learn nothing from drawn people")
    assert "starter, trainee+dgd" in line
    named = planner.plan(replace(settings, methods=["*er", "trainee+x*"]))
    assert [task.method.text for task in named.tasks] == ["starter", "trainee+xqda"]
    assert named.skipped == []


def test_a_cell_names_its_initial_weights_by_content(settings, tmp_path) -> None:
    def cells(settings) -> list:
        return [task.cell for task in planner.plan(replace(settings, methods=["starter", "bicubic+xqda"])).tasks]

    first, plain = cells(with_weights(settings, b"one", tmp_path / "a"))
    same, _ = cells(with_weights(settings, b"one", tmp_path / "b"))
    other, plain_again = cells(with_weights(settings, b"two", tmp_path / "c"))
    assert [len(digest) for digest in first.weights] == [64]
    assert first == same
    assert first.fingerprint != other.fingerprint
    assert plain == plain_again
    assert plain.weights == ()


def test_a_frontends_training_schedule_names_the_cell(settings) -> None:
    data = load(dataset_spec(SMALL), None, 0, settings.cache)
    profiles = [
        planner.make_cell(method_spec(name), data, 0, settings).profile for name in ("trainee+xqda", "bicubic+xqda")
    ]
    assert profiles == ["quick", "paper"]


def test_torch_computes_on_the_threads_of_the_harness() -> None:
    import torch

    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_checkpoints_go_when_the_cell_is_stored(settings, monkeypatch) -> None:
    (task,) = planner.plan(replace(settings, methods=["bicubic+xqda"])).tasks
    seen = []

    def evaluate(*arguments):
        workspace = arguments[-1].workspace
        workspace.mkdir(parents=True)
        seen.append(workspace)
        return original(*arguments)

    original = runner.evaluate
    monkeypatch.setattr(runner, "evaluate", evaluate)
    assert runner.run_task(task, settings, wait=True).error is None
    assert seen[0].name.startswith(task.cell.fingerprint)
    assert not seen[0].exists()
    assert seen[0].parent == settings.store.folder / "distances" / "checkpoints"


def test_an_edited_method_goes_on_from_nothing_it_left(settings, monkeypatch) -> None:
    (task,) = planner.plan(replace(settings, methods=["bicubic+xqda"])).tasks
    left = []

    def stopped(*arguments):
        workspace = arguments[-1].workspace
        left.append(workspace.exists())
        workspace.mkdir(parents=True, exist_ok=True)
        raise budget.OutOfTime

    with monkeypatch.context() as patch:
        patch.setattr(runner, "evaluate", stopped)
        assert all(runner.run_task(task, settings, wait=True).left for _ in range(2))
        patch.setattr("bench.engine.store.source_of", lambda method: "edited")
        assert runner.run_task(task, settings, wait=True).left
    assert left == [False, True, False]
    assert runner.run_task(task, settings, wait=True).error is None
    assert not list(settings.store.folder.glob("distances/checkpoints/*")), "what the older code left goes too"


def test_weights_that_are_no_folder_are_one_line(bench, tmp_path) -> None:
    output = bench("run", "-m", "bicubic+xqda", "-d", SMALL, "--weights", tmp_path / "none", "--results", tmp_path)
    assert output.code == 3
    assert output.err.startswith("bench: the weights folder")
    assert output.err.count("\n") == 1


def test_cells_spread_over_the_devices_there_are(settings) -> None:
    two = replace(settings, devices=("gpu:0", "gpu:1"))
    settings.store.lock(planner.make_cell(method_spec("bicubic+xqda"), load_small(settings), 0, settings))
    with runner.free_device(two) as first, runner.free_device(two) as second:
        assert {first, second} == {"gpu:0", "gpu:1"}
    with runner.free_device(two) as again:
        assert again == "gpu:0", "each is free once its cell has ended"
    with runner.free_device(settings) as only, runner.free_device(settings) as shared:
        assert only == shared == "cpu"


def test_cells_share_the_devices_there_are_evenly(settings) -> None:
    shared = replace(settings, devices=("gpu:0", "gpu:1"), sharing=2)
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(runner.free_device(shared)) for _ in range(4)]
        assert places == ["gpu:0", "gpu:1", "gpu:0", "gpu:1"]
        with budget.shared(budget.Budget(0.0, 0.0)), pytest.raises(budget.OutOfTime):
            stack.enter_context(runner.free_device(shared))


@pytest.mark.parametrize(("jobs", "gpus", "sharing"), [(None, 2, 1), (1, 2, 1), (2, 2, 1), (3, 2, 2), (4, 1, 4)])
def test_jobs_above_the_number_of_gpus_share_them(monkeypatch, tmp_path, jobs, gpus, sharing) -> None:
    monkeypatch.setattr("bench.learning.device.resolve_device", lambda device: "cuda")
    monkeypatch.setattr("bench.learning.device.devices", lambda device: tuple(f"cuda:{i}" for i in range(gpus)))
    given = ["--jobs", str(jobs)] if jobs else []
    settings = make_settings(build_parser().parse_args(["run", "--results", str(tmp_path), *given]))
    trained = [SimpleNamespace(method=method_spec("bicubic+dgd"))]
    assert on_devices(settings, trained).sharing == sharing


def test_gpus_are_looked_for_where_networks_train(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("bench.learning.device.resolve_device", lambda device: pytest.fail("it was asked for"))
    settings = make_settings(build_parser().parse_args(["run", "--results", str(tmp_path)]))
    assert on_devices(settings, [SimpleNamespace(method=method_spec("bicubic+xqda"))]).devices == ("cpu",)


def test_near_the_end_only_what_can_stop_is_begun(settings) -> None:
    (task,) = planner.plan(replace(settings, methods=["bicubic+xqda"])).tasks
    soon = budget.Budget(time.monotonic() + 60, math.inf)
    with budget.shared(soon):
        assert runner.run_task(replace(task, expected=61.0), settings, wait=True).left
        assert not runner.run_task(replace(task, expected=1.0), settings, wait=True).left


def test_a_device_is_waited_for(settings, monkeypatch) -> None:
    two = replace(settings, devices=("gpu:0", "gpu:1"))
    settings.store.lock(planner.make_cell(method_spec("bicubic+xqda"), load_small(settings), 0, settings))
    with contextlib.ExitStack() as held:
        first, second = (held.enter_context(runner.free_device(two)) for _ in range(2))
        waits = []

        def let_go(seconds: float) -> None:
            waits.append(seconds)
            settings.store.device_lock(first).release(force=True)
            held.close()

        monkeypatch.setattr(runner.time, "sleep", let_go)
        with runner.free_device(two) as third:
            assert third in (first, second)
    assert waits == [runner.DEVICE_WAIT]


def load_small(settings):
    return load(dataset_spec(SMALL), None, 0, settings.cache)


def test_time_is_estimated_from_the_likest_cells(settings) -> None:
    data = load_small(settings)

    def task(name: str, split: int) -> planner.Task:
        method = method_spec(name)
        return planner.Task(planner.make_cell(method, data, split, settings), method, data)

    for split, seconds in enumerate((2.0, 4.0, 6.0)):
        done = task("bicubic+xqda", split).cell
        settings.store.put(done, record([1.0], cost={"total_seconds": seconds}), {})
    exact = todo.estimate([task("bicubic+xqda", 5), task("bicubic+xqda", 6)], replace(settings, jobs=2))
    assert exact == todo.Estimate(4.0, similar=0, unknown=0)
    older = replace(task("bicubic+xqda", 7).cell, depends={})
    settings.store.put(older, record([1.0], cost={"total_seconds": 1000.0}), {})
    assert todo.estimate([task("bicubic+xqda", 5)], settings).seconds == 4.0, "cells of other versions count less"
    settings.store.remove(settings.store.get(older))
    similar = todo.estimate([task("bicubic+xqda[solver=eigh]", 0), task("bicubic+nfst", 0)], settings)
    assert similar == todo.Estimate(4.0, similar=1, unknown=1)


def test_ten_splits_or_as_many_as_a_data_set_has(settings) -> None:
    data = load_small(settings)
    own = replace(data, splits=(data.split(0, 0), data.split(1, 0)))
    default = replace(settings, splits=None)
    assert list(planner.chosen_splits(default, data)) == list(range(10))
    assert list(planner.chosen_splits(default, own)) == [0, 1]
    assert list(planner.chosen_splits(settings, own)) == [0]


KEPT: list = []


def grow(item: int, settings) -> int:
    """Take memory that is never given back, and long enough to be noticed."""
    KEPT.append(np.ones(50_000_000))
    time.sleep(1.1)
    return item


def test_a_worker_that_has_grown_is_replaced_in_silence(settings) -> None:
    pytest.importorskip("psutil", reason="joblib looks at a worker's memory by psutil")
    with warnings.catch_warnings(record=True) as said, ending_workers():
        warnings.simplefilter("always")
        assert list(spread(grow, range(6), replace(settings, jobs=2))) == list(range(6))
    assert not said
