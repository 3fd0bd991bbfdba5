"""Shared fixtures: where real data lies, a cache of the tests' own, and the command line in process or as a process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench import budget
from bench.cli import main
from bench.learning.device import resolve_device, torch_threads

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where PyTorch finds none."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if marked and resolve_device("auto") == "cpu":
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU"))


def modules_after(*commands: list[str]) -> set[str]:
    """What a fresh process has imported after these commands of ours, each of which must end well."""
    code = (
        "import json, sys, bench.cli\n"
        f"codes = [bench.cli.main(words) for words in {[list(map(str, words)) for words in commands]}]\n"
        "print(json.dumps([codes, list(sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    codes, modules = json.loads(done.stdout.splitlines()[-1])
    assert not any(codes), done.stderr
    return set(modules)


class Output(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tests share one cache and leave the user's alone; real data is named by a test, never found by accident."""
    # The workers of pytest-xdist, whose folders lie in that of the whole run, share it as well.
    session = tmp_path_factory.getbasetemp()
    folder = (session.parent if "PYTEST_XDIST_WORKER" in os.environ else session) / "cache"
    folder.mkdir(exist_ok=True)
    names = ("BENCH_CACHE", "BENCH_DATA", "BENCH_WEIGHTS", "BENCH_RESULTS", "BENCH_PLUGINS")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ["BENCH_CACHE"] = str(folder)
    os.environ["BENCH_RESULTS"] = str(tmp_path_factory.mktemp("results"))
    pytest.data_root = before["BENCH_DATA"]  # type: ignore[attr-defined]
    yield folder
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="session")
def data_root(own_cache: Path) -> Path:
    """The folder that holds VIPeR, CAVIAR4REID, ...; skips where BENCH_DATA is not set."""
    root = pytest.data_root  # type: ignore[attr-defined]
    if not root:
        pytest.skip("BENCH_DATA is not set: it names the folder that holds VIPeR, CAVIAR4REID, ...")
    return Path(root)


@pytest.fixture(scope="session")
def oracle_root(data_root: Path) -> Path:
    """Outputs of the public releases' code, kept beside the data; skips where they are not there."""
    folder = data_root.parent / "oracle"
    if not folder.is_dir():
        pytest.skip(f"no reference outputs of the public releases in {folder}")
    return folder


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small networks gain nothing from a second thread, and lose much where others use the cores."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # a cell's networks get the threads of the cores there are
    with torch_threads(1):
        yield


@pytest.fixture
def contract_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run takes it that its methods keep the contract: test_contract.py checks each, which takes seconds."""
    monkeypatch.setattr("bench.engine.contract.ensure", lambda *_: [])


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    """Call the command line in this process."""

    def call(*arguments: object) -> Output:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        return Output(code, *capsys.readouterr())

    return call


def bench_process(*arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    """Start the command line as a process of its own group."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        cwd=cwd, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


@pytest.fixture
def campaign(tmp_path):
    def write(*lines: str) -> Path:
        path = tmp_path / "own.campaign"
        path.write_text("\n".join(lines))
        return path

    return write


class Clock:
    """Time that passes by a second whenever it is asked for, and by as much as it is told."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    return clock
