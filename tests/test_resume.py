"""Killed, interrupted and parallel runs end in the same tables as an undisturbed one."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import bench_process

# --device cpu: each process is spared the import of torch, which looks for GPUs.
ARGUMENTS = ("--device", "cpu", "-m", "bi*+xqda", "-m", "bi*+nfst", "-d", "synthetic[identities=40]", "--splits", "0-5")


def run(results: Path, *more: object) -> tuple[int, str, str]:
    process = bench_process("run", *ARGUMENTS, "--results", results, *more)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def tables(results: Path, bench) -> tuple[str, ...]:
    arguments = ("table", "2", "-d", "synthetic*", "--results", results)
    outputs = [bench(*arguments, "--format", form) for form in ("markdown", "csv", "latex")]
    assert [o.code for o in outputs] == [0, 0, 0]
    return tuple(o.out for o in outputs)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("undisturbed")
    assert run(results, "--jobs", 1)[0] == 0
    return results


def test_two_jobs_give_the_tables_of_one(undisturbed: Path, tmp_path: Path, bench) -> None:
    code, _, err = run(tmp_path, "--jobs", 2)
    assert code == 0, err
    assert tables(tmp_path, bench) == tables(undisturbed, bench)


@pytest.mark.slow
def test_ten_kills_at_random_moments(undisturbed: Path, tmp_path: Path, bench) -> None:
    rng = random.Random(5)
    for kill in range(10):
        process = bench_process("run", *ARGUMENTS, "--results", tmp_path, "--jobs", 1 + kill % 2,
                                BENCH_CACHE=str(tmp_path / "cache"))  # fmt: skip
        time.sleep(rng.uniform(1.0, 6.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finished = len(list(tmp_path.glob("*/*/split*.json")))
    code, out, err = run(tmp_path, "--jobs", 2)
    assert code == 0, err
    assert f"24 cells: {finished} finished before, {24 - finished} to run" in out, "finished cells are never recomputed"
    assert tables(tmp_path, bench) == tables(undisturbed, bench)


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, bench, jobs: int) -> None:
    # a shell starts background jobs, and so their children, with Ctrl-C ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = bench_process("run", *ARGUMENTS[:-2], "--splits", "0-199", "--results", tmp_path, "--jobs", jobs)
    assert process.stdout
    while not process.stdout.readline().startswith("[3/"):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "bench: interrupted; finished cells are kept, run the same command again to go on"
    before = len(list(tmp_path.glob("*/*/split*.json")))
    assert before >= 3
    again = bench("run", *ARGUMENTS[:-2], "--splits", "0-199", "--results", tmp_path, "--dry-run")
    assert f"800 cells: {before} finished before, {800 - before} to run" in again.out


def test_two_runs_on_one_store_share_the_work(undisturbed: Path, tmp_path: Path, bench) -> None:
    first, second = (bench_process("run", *ARGUMENTS, "--results", tmp_path, "--jobs", 1) for _ in range(2))
    for process in (first, second):
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert tables(tmp_path, bench) == tables(undisturbed, bench)
