"""What `bench speed` says of timings, how two runs are compared, and that its cases still measure what they name."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.cli import main
from bench.errors import BenchError, UsageError
from tests.benchmarks.speed import __main__ as speed
from tests.benchmarks.speed.case import Case, Sides, difference
from tests.benchmarks.speed.cases import CASES
from tests.benchmarks.speed.interval import LEAST_PAIRS, Interval, change, median_ratio, regressed
from tests.benchmarks.speed.result import FORMAT, Measured, Run, comparison, read_run, regressions
from tests.benchmarks.speed.runner import check, measure

MACHINE = {"processor": "one", "versions": "numpy 2"}


def timings(ratio: float, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of both sides, the reference so many times slower; what else runs slows both, and each by itself."""
    random = np.random.default_rng(seed)
    busy = random.uniform(1, 3, pairs)
    ours, reference = (busy * np.exp(0.1 * random.standard_t(2, pairs)) for _ in range(2))
    return ours, ratio * reference


def measured(name: str = "a", ratio: float = 4.0, low: float = 3.9, high: float = 4.1, **more) -> Measured:
    fields = {"reference": "plain", "size": 10, "unit": "images", "pairs": 9, "seconds": 1.0, "reference_seconds": 4.0}
    fields |= {"clock": 1.0, "reference_clock": 4.0, "difference": 0.0, "figures": {}}
    return Measured(name=name, ratio=ratio, low=low, high=high, **{**fields, **more})


def written(path: Path, *cases: Measured, **machine: str) -> Path:
    path.write_bytes(msgspec.json.encode(Run(FORMAT, {**MACHINE, **machine}, list(cases), {})))
    return path


def test_the_interval_by_hand() -> None:
    """Of six values the smallest and the largest: both on one side of the median once in 32."""
    ours, reference = np.ones(6), np.array([3.0, 1, 6, 2, 5, 4])
    found = median_ratio(ours, reference)
    assert found == (pytest.approx(np.sqrt(3 * 4)), 1, 6)
    # Of 20 values the sixth from each end: binomial, fewer than six of 20 coins show heads once in 48.
    assert median_ratio(np.ones(20), np.arange(1.0, 21))[1:] == (6, 15)


def test_too_few_pairs_have_no_interval() -> None:
    with pytest.raises(ValueError, match="needs 6 pairs"):
        median_ratio([1.0] * (LEAST_PAIRS - 1), [1.0] * (LEAST_PAIRS - 1))


@pytest.mark.parametrize("pairs", [6, 25])
def test_the_interval_covers_a_known_ratio(pairs) -> None:
    held = [median_ratio(*timings(5.0, pairs, seed)) for seed in range(400)]
    covered = np.mean([found.low <= 5.0 <= found.high for found in held])
    assert covered >= 0.93  # at least 95 %, by 400 draws


def test_a_regression_is_found_and_noise_is_none() -> None:
    def runs(ratio: float, seeds: range) -> list[Interval]:
        return [median_ratio(*timings(ratio, 40, seed)) for seed in seeds]

    before, same, slower = runs(5.0, range(100)), runs(5.0, range(100, 200)), runs(3.0, range(200, 300))
    assert sum(map(regressed, same, before)) <= 1
    assert sum(map(regressed, slower, before)) >= 95
    assert not any(map(regressed, before, slower)), "faster is no regression"


def test_intervals_must_be_apart_by_more_than_noise() -> None:
    old = Interval(4.0, 3.8, 4.2)
    assert change(Interval(2.0, 1.9, 2.1), old) == (0.5, pytest.approx(1.9 / 4.2), pytest.approx(2.1 / 3.8))
    assert not regressed(Interval(3.0, 2.0, 3.9), old), "they overlap"
    assert not regressed(Interval(3.7, 3.6, 3.75), old), "they touch, nearly"
    assert regressed(Interval(3.4, 3.3, 3.5), old)


@pytest.mark.parametrize(
    ("ours", "reference", "expected"),
    [
        (np.array([1.0, 2]), np.array([1.0, 4]), 0.5),
        ([np.zeros(2), 3.0], [np.zeros(2), 4.0], 0.25),
        ({"a": 1}, {"a": 1}, 0),
        ({"a": 1.0, "b": 3}, {"a": 2.0, "b": 4}, 0.25),
        ({"a": 1}, {"b": 1}, np.inf),
        (np.zeros(3), np.zeros(4), np.inf),
        ([1.0], [1.0, 2.0], np.inf),
        (np.array([np.nan]), np.array([np.nan]), np.inf),
        ("a table", "a table", 0),
        ("a table", "another", np.inf),
    ],
)
def test_differences(ours, reference, expected) -> None:
    assert difference(ours, reference) == expected


def case(ours=1.0, reference=1.0, **more) -> Case:
    return Case("a", "plain", lambda size, folder: Sides(lambda: ours, lambda: reference), 3, "images", 1, **more)


def test_measuring_takes_turns() -> None:
    called = []

    def busy(name: str) -> float:
        called.append(name)
        return float(sum(range(200_000)) > 0)

    def make(size: int, folder: Path) -> Sides:
        figures = {"images a second": lambda seconds: size / seconds}
        return Sides(lambda: busy("ours"), lambda: busy("reference"), figures)

    found = measure(Case("a", "plain", make, 3, "images", 1), 0)
    assert (found.pairs, found.size, found.difference) == (LEAST_PAIRS, 3, 0)
    assert found.low <= found.ratio <= found.high
    assert found.figures["images a second"] == pytest.approx(3 / found.seconds)
    order = [name for name, before in zip(called, ["", *called], strict=False) if name != before]
    assert len(order) > LEAST_PAIRS


def test_sides_that_disagree_are_an_error_and_no_number() -> None:
    assert check(case(tolerance=0.1), 1.0, 1.1) == pytest.approx(0.1 / 1.1)
    with pytest.raises(BenchError, match=r"ours and the reference \(plain\) differ by 0\.5"):
        measure(case(1.0, 2.0, tolerance=0.1), 0)


@pytest.fixture
def speed_with(monkeypatch, capsys):
    """Run the measuring process's main with made-up cases."""

    def call(*cases: Case, **wanted):
        monkeypatch.setattr(speed, "CASES", cases)
        capsys.readouterr()
        defaults = {"only": [], "list": False, "budget": 0.0, "json": None, "against": None}
        code = speed.main(speed.Wanted(**{**defaults, **wanted}))
        return code, *capsys.readouterr()

    return call


def test_a_case_that_fails_costs_no_other_and_is_told(speed_with, tmp_path) -> None:
    def broken(size: int, folder: Path) -> Sides:
        raise RuntimeError("no such\nthing")

    file = tmp_path / "run.json"
    cases = Case("broken", "plain", broken, 1, "", 1), Case("gone", "plain", broken, 1, "", 1, missing=lambda: "no GPU")
    code, out, err = speed_with(*cases, case(), json=str(file))
    assert code == 1
    assert err == "bench: broken: failed: no such thing\n"
    found = read_run(file)
    assert [one.name for one in found.cases] == ["a"]
    assert found.missed == {"broken": "failed: no such thing", "gone": "no GPU"}
    assert "gone               not measured: no GPU" in out


def test_against_ends_with_1_on_a_regression_and_names_it(speed_with, tmp_path) -> None:
    plain = {"size": 3, "unit": "images", "reference": "plain"}
    slow = written(tmp_path / "slow.json", measured("a", 1e-4, 0.9e-4, 1.1e-4, **plain))
    fast = written(tmp_path / "fast.json", measured("a", 1e4, 0.9e4, 1.1e4, **plain))
    assert speed_with(case(), against=str(slow))[0] == 0
    code, out, err = speed_with(case(), against=str(fast))
    assert code == 1
    assert err == f"bench: slower than in {fast}: a\n"
    assert "SLOWER" in out


def test_what_cannot_be_compared_is_said_and_is_no_regression(tmp_path) -> None:
    old = read_run(written(tmp_path / "old", measured("a"), measured("b", size=20), measured("c"), measured("d")))
    slow = [measured(name, 1.0, 0.9, 1.1) for name in ("b", "c", "e")]
    new = read_run(written(tmp_path / "new", *slow, processor="two"))
    assert regressions(new, old) == ["c"]
    lines = list(comparison(new, old, ["a", "b", "c", "e"]))
    assert lines[0] == "processor differs: one then, two now"
    assert lines[1].split(maxsplit=1) == [
        "b",
        "not compared: then 20 images against plain, now 10 images against plain",
    ]
    assert lines[2].endswith("SLOWER")
    assert lines[3:] == ["not in the earlier run: e", "in the earlier run only: a"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "data was truncated"),
        ("[1]", "Expected `object`"),
        ('{"format": 2, "machine": {}, "cases": [], "missed": {}}', "format 2, and this version reads format 1"),
        ('{"format": 1, "machine": {}, "missed": {}}', "required field `cases`"),
    ],
)
def test_a_file_of_another_kind_is_a_line(tmp_path, content, reason) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=f"{path} is not what `speed --json` writes: .*{reason}"):
        read_run(path)


def test_a_file_of_impossible_numbers_is_refused(tmp_path) -> None:
    path = written(tmp_path / "run.json", measured())
    for low in ("-1", "5", '"x"'):
        text = path.read_text().replace('"low":3.9', f'"low":{low}')
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UsageError, match="not what `speed --json` writes"):
            read_run(tmp_path / "bad.json")
    with pytest.raises(UsageError, match="No such file"):
        read_run(tmp_path / "none.json")


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_every_case_agrees_with_its_reference(one: Case, tmp_path) -> None:
    if reason := one.missing():
        pytest.skip(reason)
    sides = one.make(one.tiny, tmp_path)
    check(one, sides.ours(), sides.reference())


def test_names_are_different_and_globs_find_them() -> None:
    assert len({one.name for one in CASES}) == len(CASES)
    assert [one.name for one in speed.chosen(["lomo"])] == ["lomo"]
    assert len(speed.chosen(["cmc*", "fusion"])) > 2
    assert speed.chosen([]) == list(CASES)
    with pytest.raises(UsageError, match="no case is called 'x'"):
        speed.chosen(["x"])


def test_the_command(tmp_path, capfd) -> None:
    """The whole way once: a process of its own, a file, and the file against itself."""
    file = tmp_path / "run.json"
    words = ["speed", "--only", "fusion", "--budget", "1s"]
    assert main([*words, "--json", str(file)]) == 0
    assert json.loads(file.read_text())["cases"][0]["name"] == "fusion"
    assert main([*words, "--against", str(tmp_path / "none.json")]) == 2
    assert main(["speed", "--only", "nothing"]) == 2
    out, err = capfd.readouterr()
    assert out.startswith("processor: ")
    assert len(err.splitlines()) == 2


def test_without_a_clone_the_command_says_so(monkeypatch, tmp_path, bench) -> None:
    monkeypatch.setattr("bench.cli.speed.ROOT", tmp_path)
    assert bench("speed") == (2, "", "bench: the measurements come with a clone of bench: run speed there\n")


def test_interrupted_it_ends_all_that_it_started(monkeypatch, tmp_path, capsys) -> None:
    """In place of the process that measures one that starts another, which holds a pipe open."""
    script, pipe = tmp_path / "python", tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    script.write_text(f"#!/bin/sh\nexec 3> {pipe}\nsleep 600 &\necho started >&3\nwait\n")
    script.chmod(0o700)
    wait = subprocess.Popen.wait

    def interrupted(process: subprocess.Popen, timeout: float | None = None) -> int:
        monkeypatch.setattr(subprocess.Popen, "wait", wait)
        select.select([held], [], [])
        assert os.read(held, 100) == b"started\n"
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    monkeypatch.setattr(sys, "executable", str(script))
    assert main(["speed", "--json", str(tmp_path / "today.json")]) == 130
    assert f"interrupted; the cases measured so far are in {tmp_path}/today.json" in capsys.readouterr().err
    assert select.select([held], [], [], 30)[0], "the pipe is still held"
    assert os.read(held, 1) == b""
    os.close(held)


def test_a_run_is_not_written_over_what_it_is_held_against(tmp_path, bench) -> None:
    file = tmp_path / "today.json"
    output = bench("speed", "--only", "start", "--json", file, "--against", file)
    assert output.code == 2
    assert "would be written over" in output.err
