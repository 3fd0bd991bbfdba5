"""Cells on the workers of a Dask scheduler: a real one, with workers that are killed, slow, or of other versions."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.engine import shipping
from bench.engine.cache import Cache
from bench.engine.data import Data, load
from bench.engine.plan import Settings, Task, make_cell
from bench.engine.store import Store
from bench.plugin.spec import dataset_spec, method_spec
from tests.cells import fill
from tests.conftest import ROOT, bench_process
from tests.pages import photographs

SMALL = "synthetic[identities=24]"
FOREVER = 240  # seconds
needs_dask = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed")

TOLD = '''
"""A method that does what the environment of its worker says."""

import os
import time

import numpy as np

from bench import Method


class Told(Method):
    name = "told"

    def __init__(self, deadly: bool = False):
        self.deadly = deadly

    def fit(self, train):
        with open(os.environ.get("TOLD_LOG", os.devnull), "a") as log:
            log.write(f"{os.getpid()}\\n")
        time.sleep(float(os.environ.get("TOLD_SLEEP", 0)))
        if self.deadly and "TOLD_LOG" in os.environ:
            os._exit(1)
        return self

    def distances(self, probe, gallery):
        a, b = (images.array().mean((1, 2)) for images in (probe, gallery))
        return np.abs(a[:, None] - b[None]).sum(-1)
'''


@pytest.fixture
def told(tmp_path, monkeypatch) -> None:
    """The method above, from a folder that all see."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "told.py").write_text(TOLD)
    monkeypatch.setenv("BENCH_PLUGINS", str(tmp_path / "plugins"))


class Cluster:
    """A scheduler of this machine, and workers as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, dict[str, subprocess.Popen[bytes]]()
        self.file = folder / "scheduler.json"
        self.start("scheduler", "dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        until(lambda: self.file.is_file() and self.file.read_text())

    def start(self, name: str, program: str, *arguments: str, **environment: str) -> None:
        words = ["-m", f"distributed.cli.{program}", "--scheduler-file", str(self.file), "--no-dashboard", *arguments]
        own = {"BENCH_CACHE": str(self.folder / f"{name}-cache"), "TOLD_LOG": str(self.log(name))}
        path = os.pathsep.join([*filter(None, [environment.pop("PYTHONPATH", "")]), str(ROOT)])
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.folder, env={**os.environ, **own, **environment, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def worker(self, name: str, *arguments: str, **environment: str) -> None:
        arguments = arguments or ("--no-nanny",)
        place = ("--local-directory", str(self.folder / name))
        self.start(name, "dask_worker", "--nthreads", "1", *place, *arguments, **environment)

    def log(self, name: str) -> Path:
        """Has a line for each cell of `told` that a worker began: the process that computed it."""
        return self.folder / f"{name}.told"

    def began(self, name: str) -> list[int]:
        return list(map(int, self.log(name).read_text().split())) if self.log(name).exists() else []

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @property
    def options(self) -> list[str]:
        return ["--backend", "dask", "--scheduler", str(self.file)]


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    for name in list(cluster.processes):
        cluster.kill(name)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + FOREVER
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@contextmanager
def meanwhile(holds: Callable[[], object], act: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread once a condition holds."""

    def wait() -> None:
        until(holds)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def gone(process: int) -> bool:
    """Also one that nobody has waited for yet is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stored(folder: Path) -> dict[str, bytes]:
    """Every file of a store by name, without locks.

    Left out of cells: `cost`, which holds seconds and memory, and of `computed` the date.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "locks" not in path.parts:
            content = path.read_bytes()
            if path.name.startswith("split"):
                content = re.sub(rb'^ "cost": .*\n', b"", content, flags=re.MULTILINE)
                content = re.sub(rb'"date": "[^"]*"', b"", content)
            found[str(path.relative_to(folder))] = content
    return found


@needs_dask
@pytest.mark.slow
@pytest.mark.usefixtures("told", "contract_holds", "one_thread")
def test_three_workers_one_killed_one_slow_one_of_another_version(tmp_path, cluster, bench) -> None:
    other = tmp_path / "other" / "numpy-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    cluster.worker("killed", TOLD_SLEEP="3600")
    cluster.worker("slow", "--nanny", TOLD_SLEEP="2")
    cluster.worker("other", PYTHONPATH=str(other.parent))

    what = ("-m", "bicubic+told", "-m", "bicubic+xqda", "-d", SMALL, "--splits", "0-3")
    with meanwhile(lambda: cluster.began("killed") and cluster.began("slow"), lambda: cluster.kill("killed")):
        output = bench("run", *what, "--results", tmp_path / "remote", *cluster.options)

    assert output.code == 0, output.err
    assert output.out.count(": rank-1") == 8
    lines = output.err.splitlines()
    assert [line for line in lines if "is not used" in line] == [
        line for line in lines if line.endswith(f"numpy 0.0.1, here {np.__version__}")
    ]
    assert sum("is lost" in line for line in lines) == 1
    assert [len(cluster.began(name)) for name in ("killed", "slow", "other")] == [1, 4, 0]

    assert bench("run", *what, "--results", tmp_path / "local", "--jobs", "1").code == 0
    here, there = stored(tmp_path / "local"), stored(tmp_path / "remote")
    assert here.keys() == there.keys()
    assert len([name for name in here if "/split" in name]) == 8
    assert [name for name in here if here[name] != there[name]] == []


@needs_dask
@pytest.mark.slow
@pytest.mark.usefixtures("told", "contract_holds", "one_thread")
def test_a_cell_that_is_lost_each_time_fails_alone(tmp_path, cluster, bench) -> None:
    cluster.worker("one")
    what = ("-m", "bicubic+told[deadly]", "-m", "bicubic+told", "-d", SMALL, "--splits", "0-1")
    output = bench("run", *what, "--results", tmp_path / "r", *cluster.options)
    assert output.code == 1, output.err
    failures = [line for line in output.err.splitlines() if "failed" in line]
    assert len(failures) == 2, output.err
    assert all(re.search(r"deadly\] .* failed: lost 3 times with the worker that computed it", f) for f in failures)
    names = [Path(name).name for name in stored(tmp_path / "r") if "/split" in name]
    assert [name.endswith(".failed.json") for name in names] == [False, False, True, True]
    assert len(cluster.began("one")) == 2 + 2 * 3


@needs_dask
@pytest.mark.slow
@pytest.mark.usefixtures("contract_holds", "one_thread")
def test_data_that_a_worker_does_not_see_are_sent_once_into_its_cache(tmp_path, cluster, bench, monkeypatch) -> None:
    monkeypatch.setattr(shipping, "BLOCK", 100_000)  # several of them
    cluster.worker("one")
    listed = photographs(tmp_path / "photos")
    (tmp_path / "people.csv").write_text("\n".join(["path,person,camera", *listed]))
    what = ("-m", "bicubic+xqda", "-d", f"mlr_manifest[file={tmp_path / 'people.csv'}]", "--splits", "0-1")
    assert bench("run", *what, "--results", tmp_path / "local", "--jobs", "1").code == 0

    from bench.engine import fleet, remote

    original, sendings = fleet.connect, []
    sought = shipping.bare(load(dataset_spec(what[3]), None, 0, Cache(tmp_path / "cache")), None, 0)

    def hide_then_connect(scheduler: str) -> object:
        """Planned with the images, which no worker ever sees."""
        shutil.move(tmp_path / "photos", tmp_path / "hidden")
        return original(scheduler)

    def blocks(data: Data) -> Iterator[tuple[int, bytes]]:
        sendings.append(data.digest)
        return shipping.blocks(data)

    monkeypatch.setattr(fleet, "connect", hide_then_connect)
    monkeypatch.setattr(remote, "blocks", blocks)
    assert bench("run", *what, "--results", tmp_path / "remote", *cluster.options).code == 0
    here, there = stored(tmp_path / "local"), stored(tmp_path / "remote")
    assert [name for name in there if "/split" in name and here[name] != there[name]] == []
    assert sendings == [sought.data.digest], "once for two cells"
    assert Cache(tmp_path / "one-cache").path(shipping.key_of(sought)).is_file()
    assert not list(tmp_path.rglob("*.partial"))
    assert sum(path.stat().st_size for path in (tmp_path / "one").rglob("*") if path.is_file()) < 10_000, "not Dask's"


@needs_dask
@pytest.mark.slow
@pytest.mark.usefixtures("told")
def test_an_interrupt_ends_what_runs_elsewhere(tmp_path, cluster) -> None:
    cluster.worker("one", "--nanny", TOLD_SLEEP="3600")
    what = ("-m", "bicubic+told", "-d", SMALL, "--splits", "0-1", "--results", tmp_path / "r")
    process = bench_process("run", *what, *cluster.options)
    until(lambda: cluster.began("one"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=FOREVER)
    assert (process.returncode, err.splitlines()[-1].split(";")[0]) == (130, "bench: interrupted")
    until(lambda: gone(cluster.began("one")[0]))


@needs_dask
@pytest.mark.slow
@pytest.mark.usefixtures("told", "contract_holds", "one_thread")
def test_a_scheduler_that_goes_away_is_one_line(tmp_path, cluster, bench) -> None:
    cluster.worker("one", TOLD_SLEEP="5")
    what = ("-m", "bicubic+told", "-d", SMALL, "--splits", "0-9", "--results", tmp_path / "r")
    with meanwhile(lambda: len(cluster.began("one")) > 1, lambda: cluster.kill("scheduler")):
        output = bench("run", *what, *cluster.options)
    assert output.code == 1
    gone = r"bench: the scheduler tcp://\S+ is gone; finished cells are kept, .*"
    assert re.fullmatch(gone, output.err.splitlines()[-1])
    assert len([name for name in stored(tmp_path / "r") if "/split" in name]) == output.out.count(": rank-1") > 0


@needs_dask
@pytest.mark.slow
@pytest.mark.usefixtures("told", "contract_holds", "one_thread")
def test_workers_without_the_runs_plugins_are_refused(tmp_path, cluster, bench, monkeypatch) -> None:
    edited = tmp_path / "edited"
    edited.mkdir()
    (edited / "told.py").write_text(TOLD.replace("sum(-1)", "max(-1)"))
    cluster.worker("one", BENCH_PLUGINS=str(edited))
    from bench.engine import fleet

    original = fleet.run_of
    monkeypatch.setattr(fleet, "run_of", lambda *given: replace(original(*given), plugins=("/not/here",)))
    what = ("-m", "bicubic+told", "-d", SMALL, "--splits", "0", "--results", tmp_path / "r")
    output = bench("run", *what, *cluster.options)
    assert output.code == 2
    refused, last = output.err.splitlines()[-2:]
    assert refused.endswith("is not used: its code of bicubic+told is another")
    assert last.endswith("and none that can be used: give all the same versions and files")


@needs_dask
@pytest.mark.slow
@pytest.mark.usefixtures("told")
def test_the_guides_script_runs_on_slurm(tmp_path) -> None:
    """On stand-ins of its commands: a job is a process of this machine."""
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    commands = {
        "sbatch": 'copy=$(mktemp); cp "$1" $copy; setsid bash $copy >/dev/null 2>&1 & echo "Submitted batch job $!"',
        "scancel": 'kill -KILL -- "-$1"',
    }
    for name, text in commands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = (ROOT / ".docs" / "pages" / "guides" / "slurm.py").read_text().replace("WORKERS = 4", "WORKERS = 1")
    (tmp_path / "slurm.py").write_text(script)
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }
    what = ("-m", "bicubic+told", "-d", SMALL, "--splits", "0-1", "--results", tmp_path / "r")
    done = subprocess.run(
        [sys.executable, "slurm.py", *map(str, what)],
        cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True, timeout=2 * FOREVER,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": rank-1") == 2


@needs_dask
def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, bench, monkeypatch) -> None:
    from bench.engine import fleet

    monkeypatch.setattr(fleet, "CONNECT", 1.0)
    what = ("run", "-m", "bicubic+l2", "-d", SMALL, "--splits", "0", "--results", tmp_path, "--backend", "dask")
    output = bench(*what, "--scheduler", "tcp://127.0.0.1:1")
    assert output.code == 2
    assert output.err == "bench: --scheduler tcp://127.0.0.1:1: no scheduler answers within 1 s\n"


@needs_dask
@pytest.mark.parametrize("content", [None, "", "[]", '{"address": 3}', '{"address": "localhost"}'])
def test_what_is_no_scheduler_is_one_line(tmp_path, bench, content) -> None:
    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_text(content)
    output = bench("run", "-m", "bicubic+l2", "-d", SMALL, "--backend", "dask", "--scheduler", file)
    assert output.code == 2
    assert output.err.endswith(": neither an address such as tcp://host:8786 nor a scheduler file\n")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--backend", "dask"], "--backend dask and --scheduler ADDRESS go together"),
        (["--scheduler", "tcp://a:1"], "--backend dask and --scheduler ADDRESS go together"),
    ],
)
def test_backend_and_scheduler_go_together(bench, options, line) -> None:
    output = bench("run", "-m", "bicubic+l2", "-d", SMALL, *options)
    assert (output.code, output.err.count("\n")) == (2, 1)
    assert line in output.err


@needs_dask
def test_rows_are_verified_here(bench, tmp_path) -> None:
    what = ("run", "--verify", "-m", "bicubic+l2", "-d", SMALL, "--results", tmp_path)
    output = bench(*what, "--backend", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert (output.code, "--verify computes on this machine" in output.err) == (2, True)


def test_without_dask_it_is_named(bench, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    output = bench("run", "-m", "bicubic+l2", "-d", SMALL, "--backend", "dask", "--scheduler", "tcp://127.0.0.1:1")
    assert (output.code, output.err) == (2, "bench: --backend dask needs Dask: pip install 'dask[distributed]'\n")


@needs_dask
def test_a_worker_differs_in_versions_and_in_code() -> None:
    from bench.engine.fleet import differing

    own = {"python": "3.11.7", "numpy": "2.4.6", "code": "aa", "commit": "c1"}
    assert differing(own, own) == ""
    assert differing({**own, "commit": "c2"}, own) == "", "the same code under another commit"
    assert differing({**own, "numpy": "2.3.1", "torch": "2.6"}, own) == "numpy 2.3.1, here 2.4.6; torch 2.6, here None"
    assert differing({**own, "code": "bb", "commit": "c2"}, own) == "its code of bench is of commit c2, here c1"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(Store(tmp_path / "store"), Cache(tmp_path / "cache"), None)


def test_pixels_arrive_as_they_were_sent(settings, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shipping, "BLOCK", 10_001)
    data = load(dataset_spec(SMALL), None, 0, settings.cache)
    sought, there = shipping.bare(data, None, 0), Cache(tmp_path / "there")
    key, length = shipping.key_of(sought), len(data.images.flat)
    for start, block in shipping.blocks(data):
        shipping.receive(key, length, start, block, there, "me")
    assert there.get(key) is None, "not before all of it is there"
    assert not shipping.complete(key, "0" * 64, there, "me"), "not what was sent"
    for start, block in shipping.blocks(data):
        shipping.receive(key, length, start, block, there, "me")
    assert shipping.complete(key, sought.pixels, there, "me")
    found = shipping.found(sought, there)
    assert found.digest == data.digest
    assert all(np.array_equal(a, b) for a, b in zip(found.images, data.images, strict=True))


def test_data_are_read_where_they_are_the_same_and_only_there(settings, tmp_path) -> None:
    data = load(dataset_spec(SMALL), None, 0, settings.cache)
    sought = shipping.bare(data, None, 0)
    assert len(sought.data.images.flat) == 0
    there = Cache(tmp_path / "there")
    assert np.array_equal(shipping.found(sought, there).images.flat, data.images.flat), "drawn there, too"
    others = replace(sought, data=replace(sought.data, digest="0" * 64))
    assert shipping.found(others, there) is None
    nowhere = replace(sought, data=replace(sought.data, spec=dataset_spec("viper")))
    assert shipping.found(nowhere, there) is None


def test_a_cell_is_sent_with_the_split_of_its_file(settings, tmp_path) -> None:
    people = load(dataset_spec(SMALL), None, 0, settings.cache).identities
    file = tmp_path / "splits.csv"
    rows = [f"0,{person},{'train' if k % 3 else 'test'}" for k, person in enumerate(people)]
    file.write_text("\n".join(["split,identity,part", *rows]))
    spec, method = dataset_spec(f"synthetic[identities=24,split_file={file}]"), method_spec("bicubic+l2")
    data = load(spec, None, 0, settings.cache)
    sent = shipping.order(Task(make_cell(method, data, 0, settings), method, data), settings, 1).split
    file.unlink()
    there = shipping.Sent(**vars(data), given=sent).split(0, 0)
    assert there.test.tolist() == list(range(0, 24, 3))


def test_a_dry_run_says_what_cells_and_rows_take(bench, tmp_path) -> None:
    cost = {"total_seconds": 30.0, "peak_memory_mib": 1500.0}
    fill(tmp_path, "bicubic+l2", SMALL, [0.5, 0.5], cost=cost)
    fill(tmp_path, "bicubic+xqda", SMALL, [0.5], cost={"total_seconds": 90.0, "peak_memory_mib": 250.0})
    what = ("run", "--dry-run", "-m", "bicubic+l2", "-m", "bicubic+xqda", "-d", SMALL, "--splits", "2-5")
    lines = bench(*what, "--results", tmp_path, "--jobs", "4").out.splitlines()
    assert [line for line in lines if line.startswith("  ")] == [
        "  30.0 s a cell, at most 1,500 MiB; 0:02:00 for all of them",
        "  90.0 s a cell, at most 250 MiB; 0:06:00 for all of them",
    ]
    assert lines[-2:] == ["about 0:02:00 from earlier cells", "at most 1,500 MiB a cell, 6,000 MiB for 4 at a time"]
