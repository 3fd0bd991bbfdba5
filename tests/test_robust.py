"""Plug-ins that misbehave and systems that are full, read-only or shut down: one line, the right code, nothing lost."""

import contextlib
import errno
import gc
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from bench.engine import workers
from bench.engine.isolation import isolated
from bench.engine.store import Store
from tests.conftest import ROOT, bench_process
from tests.test_bad_input import one_line

SMALL = "synthetic[identities=24]"
RUN = "run --device cpu"
"""For processes: each is spared the import of torch, which looks for GPUs."""

BAD = '''
import os
import sys
import threading
import time
import numpy as np
from bench.plugin.base import Dataset, Method

class Bad(Method):
    """Misbehaves in the way that its parameter names."""
    name = "misbehaving"
    def __init__(self, how: str = "exit"):
        self.how = how
        if how == "construct":
            sys.exit(0)
    def fit(self, train):
        if self.how == "exit":
            sys.exit(0)
        if self.how == "sleep":
            with open(os.environ["STARTED"], "w") as file:
                file.write(str(os.getpid()))
            time.sleep(60)
        if self.how == "thread":
            threading.Thread(target=time.sleep, args=(3600,)).start()
        if self.how == "half":
            self.curves_ = {"loss": "half of a character: \\ud800"}
        if self.how == "raise_half":
            raise ValueError("half of a character: \\udc80, and \\x1b[2J")
        if self.how == "curves":
            self.curves_ = {"loss": [np.float32(1.5), float("nan")]}
        return self
    def distances(self, probe, gallery):
        return np.ones((len(probe), len(gallery)))

class Reader(Dataset):
    """Ends the process when it is read."""
    name = "exiting"
    folder = None
    probe_camera = "a"
    def read(self, root):
        sys.exit(0)
'''


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "misbehaving.py").write_text(BAD)
    return folder


@pytest.fixture
def run(bench, plugins, tmp_path):
    return lambda *a: bench("run", "--plugins", plugins, "--jobs", 1, "--results", tmp_path / "results", *a)


def finished(folder: Path) -> list[str]:
    return sorted(r.cell.method for r in Store(folder).read_all()[0])


class TestPluginsThatEndTheProcess:
    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("exit", "SystemExit: 0"),
            ("curves", "NaN"),
            ("half", "cannot be stored"),
            ("raise_half", r"half of a character: \udc80, and \x1b[2J"),
        ],
    )  # fmt: skip
    def test_a_cell(self, run, tmp_path, plugins, how, words) -> None:
        output = run("-m", f"bicubic+misbehaving[how={how}]", "-m", "bicubic+nfst", "-d", SMALL, "--splits", "0")
        one_line(output, 1, "split 0 failed: ", words)
        assert finished(tmp_path / "results") == ["bicubic+nfst"]
        (path,) = (tmp_path / "results").rglob("*.failed.json")
        error = json.loads(path.read_text())["failure"]["error"]
        if how == "exit":
            assert error.count("misbehaving.py, line ") == 1

    def test_an_import(self, run, plugins) -> None:
        (plugins / "misbehaving.py").write_text(f"{BAD}\nsys.exit(0)\n")
        one_line(run("-m", "bicubic+misbehaving", "-d", SMALL), 2, "misbehaving cannot be loaded", "SystemExit: 0")

    def test_a_constructor(self, run) -> None:
        one_line(
            run("-m", "bicubic+misbehaving[how=construct]", "-d", SMALL), 2, "cannot be made", "misbehaving.py, line 15"
        )

    def test_a_reader(self, run) -> None:
        one_line(run("-m", "nfst", "-d", "exiting"), 3, "exiting", "SystemExit: 0")

    def test_check(self, bench, plugins) -> None:
        output = bench("check", "bicubic+misbehaving", "--plugins", plugins)
        assert output.code == 1
        assert "SystemExit: 0" in output.out

    def test_a_cell_that_cannot_be_stored(self, run, tmp_path, monkeypatch) -> None:
        def put(*_: object) -> None:
            raise ValueError("not JSON")

        monkeypatch.setattr(Store, "put", put)
        one_line(run("-m", "bicubic+nfst", "-d", SMALL, "--splits", "0"), 1, "cannot be stored: ValueError: not JSON")
        assert len(list(tmp_path.rglob("*.failed.json"))) == 1

    def test_a_thread_that_never_ends(self, plugins, tmp_path) -> None:
        process = bench_process(*RUN.split(), "--plugins", plugins, "-m", "bicubic+misbehaving[how=thread]",
                                "-d", SMALL, "--splits", "0", "--jobs", 1,
                                "--results", tmp_path / "results")  # fmt: skip
        process.communicate(timeout=300)
        assert process.returncode == 0


class TestStateOfTheProcess:
    def test_python_and_numpy(self, tmp_path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        before = random.getstate(), np.random.get_state()[1].tolist(), np.geterr(), dict(os.environ)  # noqa: NPY002
        filters = list(warnings.filters)
        with isolated():
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002
            np.seterr(all="raise")
            os.environ["OMP_NUM_THREADS"] = "77"
            os.chdir("/")
            warnings.simplefilter("ignore")
        after = random.getstate(), np.random.get_state()[1].tolist(), np.geterr(), dict(os.environ)  # noqa: NPY002
        assert after == before
        assert warnings.filters == filters
        assert Path.cwd() == tmp_path

    def test_torch(self) -> None:
        import torch

        threads, state = torch.get_num_threads(), torch.get_rng_state()
        with isolated():
            torch.set_default_dtype(torch.float64)
            torch.set_num_threads(threads + 1)
            torch.manual_seed(7)
            torch.set_grad_enabled(False)
            torch.use_deterministic_algorithms(True)
        assert torch.get_default_dtype() == torch.float32
        assert torch.get_num_threads() == threads
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.is_grad_enabled()
        assert not torch.are_deterministic_algorithms_enabled()

    def test_torch_that_the_cell_imports_first(self) -> None:
        code = """
import sys
from bench.engine.isolation import isolated
with isolated():
    assert "torch" not in sys.modules
    import torch
    torch.set_default_dtype(torch.float64)
print(torch.get_default_dtype())
with isolated():
    pass
print(*[name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules])
"""
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == ["torch.float32", ""], "torch's compiler takes seconds to import"

    def test_how_the_process_ends_fails_and_writes(self) -> None:
        before = list(sys.argv), sys.excepthook, signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        mask = os.umask(0o022)
        try:
            with isolated():
                sys.argv.clear()
                sys.excepthook = None
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                gc.disable()
                logging.disable()
                os.umask(0o777)
            assert os.umask(0o022) == 0o022
        finally:
            os.umask(mask)
        assert before == (
            sys.argv,
            sys.excepthook,
            signal.getsignal(signal.SIGTERM),
            signal.getsignal(signal.SIGINT),
        )
        assert gc.isenabled()
        assert logging.root.manager.disable == 0

    def test_torch_that_flushes_small_numbers(self) -> None:
        torch = __import__("torch")
        with isolated():
            torch.set_flush_denormal(True)
        assert torch.tensor([1e-310], dtype=torch.float64).mul(0.5).item() > 0

    def test_after_an_error(self) -> None:
        before = np.geterr()
        with contextlib.suppress(SystemExit), isolated():
            np.seterr(all="raise")
            sys.exit(0)
        assert np.geterr() == before


def shell(command: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line in which ``bench`` is the one of this tree."""
    bench = f"{sys.executable} -m bench"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("bench ", f"{bench} ", 1)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


class TestStreams:
    def test_a_pipe_that_is_read_no_more(self, tmp_path) -> None:
        done = shell("bench list methods | head -1", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize(("end", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")])
    def test_a_full_or_closed_output(self, tmp_path, end, why) -> None:
        done = shell(f"bench list methods {end}", tmp_path)
        assert done.returncode == 1
        assert done.stderr == f"bench: cannot write to standard output: {why}\n"

    @pytest.mark.parametrize("end", ["| head -1", ">/dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
    def test_a_run_goes_on_and_loses_nothing(self, tmp_path, end) -> None:
        shell(
            f"bench {RUN} -m bicubic+nfst -d {SMALL} --splits 0-2 --jobs 1 --results {tmp_path / 'r'} {end}",
            tmp_path,
        )
        assert finished(tmp_path / "r") == ["bicubic+nfst"] * 3
        assert Store(tmp_path / "r").read_all()[1] == []


class TestSystem:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_processes_end_without_a_word(self, tmp_path, jobs) -> None:
        done = shell(
            f"bench {RUN} -m bicubic+nfst -d {SMALL} --splits 0-1 --jobs {jobs} --results {tmp_path / 'r'}; sleep 1",
            tmp_path, BENCH_CACHE=str(tmp_path / "cache"),
        )  # fmt: skip
        assert done.stderr == ""
        assert finished(tmp_path / "r") == ["bicubic+nfst"] * 2

    def test_no_more_workers_than_tasks(self, bench, tmp_path, monkeypatch) -> None:
        started = []

        class Parallel:
            def __init__(self, n_jobs: int, **_: object) -> None:
                started.append(n_jobs)

            def __call__(self, calls):
                return (function(*arguments) for function, arguments, _ in calls)

        monkeypatch.setattr(workers, "Parallel", Parallel)
        monkeypatch.setattr(workers, "end_with", lambda _: None)
        interrupt = signal.getsignal(signal.SIGINT)
        try:
            output = bench("run", "-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-2", "--jobs", 1000,
                           "--results", tmp_path)  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, interrupt)
        assert output.code == 0, output.err
        assert started
        assert max(started) == 3

    def test_a_full_cache(self, bench, tmp_path, monkeypatch) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("os.fsync", full)
        output = bench("run", "-m", "bicubic+nfst", "-d", SMALL, "--splits", "0-3", "--jobs", 1,
                       "--results", tmp_path / "results")  # fmt: skip
        one_line(output, 1, f"cannot write to the cache {tmp_path / 'cache'}", "No space left on device")

    def test_a_read_only_store(self, bench, tmp_path, monkeypatch) -> None:
        row = ("run", "-m", "bicubic+nfst", "-d", SMALL, "--jobs", 1, "--results", tmp_path)
        assert bench(*row, "--splits", "0").code == 0

        def read_only(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr("filelock.FileLock.acquire", read_only)
        assert bench(*row, "--splits", "0").code == 0, "nothing is to be written"
        one_line(bench(*row, "--splits", "0-2"), 1, f"cannot write to {tmp_path}", "Read-only file system")

    @pytest.fixture
    def start(self, plugins, tmp_path):
        """Start a run whose method sleeps; returns it, and the process that sleeps, when it does."""

        def call(jobs: int) -> tuple[subprocess.Popen[str], int]:
            started = tmp_path / "started"
            process = bench_process(*RUN.split(), "--plugins", plugins, "-m", "bicubic+misbehaving[how=sleep]",
                                    "-d", SMALL, "--splits", "0-1", "--jobs", jobs,
                                    "--results", tmp_path / "results", STARTED=str(started))  # fmt: skip
            wait_until(lambda: (started.exists() and started.read_text()) or process.poll() is not None)
            return process, int(started.read_text())

        return call

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_terminated(self, start, jobs) -> None:
        process, sleeper = start(jobs)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 143
        assert err == "bench: terminated; finished cells are kept, run the same command again to go on\n"
        wait_until(lambda: not alive(sleeper))

    def test_a_worker_ends_with_a_parent_that_is_killed(self, start) -> None:
        process, sleeper = start(2)
        assert sleeper != process.pid
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()
        wait_until(lambda: not alive(sleeper))


def wait_until(true, seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
