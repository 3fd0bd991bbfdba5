"""Campaigns: commands from a file in the time there is, how each ended, and which are done."""

import subprocess
from multiprocessing.pool import ThreadPool

import pytest

from bench import budget
from bench.cli.journal import Journal
from bench.cli.parser import build_parser
from bench.cli.steps import Step, check_names, find_campaign, grouped, hold, read_campaign
from bench.engine.store import Store
from bench.errors import StorageError

SMALL = "synthetic[identities=24]"
KILLER = """
import os
import signal

from bench import Method


class Killer(Method):
    name = "killer"

    def distances(self, probe, gallery):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def states(out: str) -> list[str]:
    """How the steps ended, as the last lines of a campaign's output say."""
    return [line.split()[0] for line in out.rpartition("\ncampaign ")[2].splitlines()[1:]]


class TestFile:
    @pytest.mark.parametrize(("name", "short", "long"), [("gpu", "quick", "paper"), ("rehearsal", "smoke", "smoke")])
    def test_those_that_come_with_bench_hold_commands_and_names(self, name, short, long) -> None:
        steps = read_campaign(find_campaign(name))
        check_names(steps)
        kinds = [(step.words[0], getattr(step.options, "profile", None)) for step in steps]
        pretrained = "smoke" if name == "rehearsal" else "paper"
        first = [("pytest", None), ("run", short), ("run", long), ("pretrain", pretrained)]
        assert kinds == first + [("run", long)] * 10
        assert [len(group) for group in grouped(steps)] == [1, 1, 1, 1, 10]
        assert [step.runs.jobs for step in steps if step.runs] == [None, 1, *[None] * 10]
        every, timed, *rows = [step.runs.method for step in steps if step.runs]
        assert every == timed == [method for row in rows[:5] for method in row]
        assert rows[:5] == rows[5:]

    def test_jobs_of_a_lines_own_stay(self, campaign) -> None:
        steps = read_campaign(campaign("run -m sing -d caviar --jobs 1", "run -m sing -d viper"))
        hold(steps, build_parser().parse_args(["run", "--campaign", "own", "--jobs", "3", "--device", "cpu"]))
        assert [(step.runs.jobs, step.runs.device) for step in steps] == [(1, "cpu"), (3, "cpu")]
        assert [len(group) for group in grouped(steps)] == [1, 1]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("run -m sing --profile papier", "papier"),
            ("run -m nobody -d caviar", "nobody"),
            ("run -m sing -d nowhere", "nowhere"),
            ("run -m sing[alfa=1] -d caviar", "alfa"),
            ("run -m sing -d caviar --splits x", "--splits x"),
            ("run --profile paper", "say what to run"),
            ("pretrain nobody --output w", "nobody"),
            ("walk -m sing", "walk"),
            ("run -m 'sing", "quotation"),
            ("run --campaign gpu", "another"),
            ("run --help", "computes"),
            ("run --hel", "computes"),
            ("--vers", "computes"),
        ],
    )
    def test_a_bad_line_is_one_line_before_anything_starts(self, bench, campaign, tmp_path, line, said) -> None:
        path = campaign(f"run -m bicubic+l2 -d {SMALL}", "", line)
        output = bench("run", "--campaign", path, "--results", tmp_path / "r")
        assert (output.code, output.out, output.err.count("\n")) == (2, "", 1)
        assert "own.campaign line 3" in output.err
        assert said in output.err
        assert not (tmp_path / "r").exists()

    def test_unknown_or_empty(self, bench, campaign) -> None:
        assert "gpu, rehearsal" in bench("run", "--campaign", "nowhere").err
        assert "holds no command" in bench("run", "--campaign", campaign("# nothing")).err

    def test_what_to_run_is_the_files(self, bench, campaign) -> None:
        output = bench("run", "--campaign", campaign("doctor"), "--profile", "smoke", "-m", "sing")
        assert (output.code, "leave out --method, --profile" in output.err) == (2, True)

    def test_runs_come_together_where_they_can(self, campaign) -> None:
        lines = ["run -m sing -d caviar", "run -m dgd -d viper --profile smoke", "pytest", "run --all --budget 1m",
                 "run --all", "run --all --seed 1"]  # fmt: skip
        assert [len(group) for group in grouped(read_campaign(campaign(*lines)))] == [2, 1, 1, 1, 1]


class TestCampaign:
    def test_the_order_is_the_files_and_a_later_call_goes_on(self, bench, campaign, tmp_path) -> None:
        path = campaign(f"run -m bilinear+l2 -d {SMALL} --splits 1", "pytest --version", "run -m bicubic+l2 -d viper",
                        f"run -m bicubic+l2 -d {SMALL} --splits 0-1 # the last")  # fmt: skip
        command = ("run", "--campaign", path, "--results", tmp_path / "r", "--jobs", 1)
        first, second = bench(*command), bench(*command)
        lines = [line.split()[1:] for line in first.out.splitlines() if "rank-1" in line]
        assert [line[0] for line in lines] == ["bilinear+l2", "bicubic+l2", "bicubic+l2"]
        assert (first.code, second.code) == (1, 1), "VIPeR is not there, which costs no other line"
        assert states(first.out) == states(second.out) == ["done", "done", "failed", "done"]
        assert "0 to run" in second.out
        assert "pytest --version: before" in second.out

    def test_what_does_not_fit_is_left(self, bench, campaign, clock, tmp_path) -> None:
        path = campaign("pytest --version", f"run -m bicubic+l2 -d {SMALL}")
        clock.monotonic = lambda: clock.now
        command = ("run", "--campaign", path, "--results", tmp_path / "r", "--jobs", 1, "--budget", "60s")
        real = subprocess.run

        def long(*arguments, **options):
            clock.now += 1000
            return real(*arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bench.cli.campaign.subprocess.run", long)
            output = bench(*command)
        assert output.code == budget.EXIT_CODE
        assert states(output.out) == ["done", "left"]
        assert bench(*command).code == 0

    def test_dry(self, bench, campaign, tmp_path) -> None:
        path = campaign("pytest --version", f"run -m bicubic+l2 -d {SMALL} --splits 0")
        output = bench("run", "--campaign", path, "--results", tmp_path / "r", "--dry-run")
        assert f"would run bicubic+l2 on {SMALL}" in output.out
        assert states(output.out) == ["planned", "planned"]
        assert not list(tmp_path.rglob("*.json"))

    def test_a_killed_worker_costs_no_other_line(self, bench, campaign, tmp_path) -> None:
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins" / "killer.py").write_text(KILLER)
        path = campaign(f"run -m bicubic+killer -d {SMALL} --splits 0-1", f"run -m bicubic+l2 -d {SMALL} --splits 0-1",
                        "pytest --version")  # fmt: skip
        where = ("--results", tmp_path / "r", "--plugins", tmp_path / "plugins")
        output = bench("run", "--campaign", path, *where, "--jobs", 2)
        assert (output.code, states(output.out)) == (1, ["failed", "done", "done"])
        assert "--splits 0-1: 0 of 2 cells; a worker process was killed" in output.out
        assert len(Store(tmp_path / "r").read_all()[0]) == 2

    def test_a_full_disk_ends_it(self, bench, campaign, tmp_path, monkeypatch) -> None:
        def full(*arguments) -> None:
            raise StorageError("no space left")

        monkeypatch.setattr(Store, "put", full)
        path = campaign(f"run -m bicubic+l2 -d {SMALL} --splits 0", "pytest --version")
        output = bench("run", "--campaign", path, "--results", tmp_path / "r", "--jobs", 1)
        assert (output.code, output.err) == (1, "bench: no space left\n")
        assert "pytest" not in output.out


class TestJournal:
    """Which steps are done: each changed circumstance has its step done again."""

    @pytest.fixture
    def journal(self, tmp_path, monkeypatch) -> Journal:
        monkeypatch.setattr("bench.engine.provenance.git_commit", lambda: "one")
        devices = {"auto": "cpu", "cpu": "cpu", "cuda": "cuda"}
        monkeypatch.setattr("bench.learning.device.resolve_device", devices.__getitem__)
        return Journal(tmp_path / "store")

    @pytest.fixture
    def steps(self, campaign, tmp_path) -> list[Step]:
        return read_campaign(campaign("pytest -q", f"pretrain dgd -d caviar --output {tmp_path / 'weights'}"))

    def test_tests_are_done_for_a_commit_and_a_device(self, journal, steps, monkeypatch) -> None:
        journal.add(steps[0], "auto", {})
        assert journal.holds(steps[0], "cpu")
        assert not journal.holds(steps[0], "cuda")
        monkeypatch.setattr("bench.engine.provenance.git_commit", lambda: "two")
        assert not journal.holds(steps[0], "cpu")

    def test_a_pretraining_is_done_while_its_weights_are_there(self, journal, steps, tmp_path, monkeypatch) -> None:
        weights = tmp_path / "weights"
        weights.mkdir()
        (weights / "other.safetensors").write_text("there before")
        before = journal.weights(steps[1])
        (weights / "net.safetensors").write_text("new")
        journal.add(steps[1], "auto", before)
        monkeypatch.setattr("bench.engine.provenance.git_commit", lambda: "two")
        (weights / "other.safetensors").unlink()
        assert journal.holds(steps[1], "auto")
        steps[1].options.device = "cuda"
        assert not journal.holds(steps[1], "auto")
        steps[1].options.device = "auto"
        (weights / "net.safetensors").unlink()
        assert not journal.holds(steps[1], "auto")

    def test_elsewhere_it_is_another_unless_all_is_moved(self, journal, steps, tmp_path) -> None:
        journal.add(steps[1], "auto", {})
        moved = tmp_path / "moved"
        moved.mkdir()
        journal.path.parent.parent.rename(moved / "store")
        there = Journal(moved / "store")
        assert not there.holds(steps[1], "auto")
        steps[1].options.output = moved / "weights"
        assert there.holds(steps[1], "auto")

    def test_campaigns_that_share_a_store_lose_no_line(self, journal, campaign, tmp_path) -> None:
        steps = read_campaign(campaign(*(f"pretrain dgd -d caviar --output {tmp_path / str(i)}" for i in range(40))))
        with ThreadPool(4) as pool:
            pool.map(lambda step: journal.add(step, "auto", {}), steps)
        assert all(journal.holds(step, "auto") for step in steps)

    def test_a_damaged_file_holds_nothing(self, journal, steps) -> None:
        journal.path.parent.mkdir(parents=True)
        journal.path.write_text("{")
        assert not journal.holds(steps[0], "auto")
