"""Campaigns and budgets: commands from a file in the time there is, and what is left when it ends."""

import math
import os
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench import budget
from bench.cli.steps import check_names, find_campaign, grouped, read_campaign
from bench.engine import store as stores
from bench.engine.store import Store
from bench.errors import UsageError
from tests.benchmarks import go, pack_campaign
from tests.conftest import ROOT
from tests.test_training import equal, fit, net

SMALL = "synthetic[identities=24]"
TRAINED = '''
import numpy as np
from scipy.spatial.distance import cdist

from bench import Method


class Sitter(Method):
    """A layer on mean colours, trained for twenty updates."""

    name = "sitter"
    scales = "own"
    profiles = True

    def fit(self, train):
        import torch
        from torch.nn.functional import cross_entropy

        from bench.learning.compute import seeded
        from bench.learning.schedules import parameter_groups, poly
        from bench.learning.training import train as train_network

        _, people = np.unique(train.gallery.identity, return_inverse=True)
        x = torch.tensor(self.colours(train.gallery))
        with seeded(train.seed):
            self.net = torch.nn.Linear(3, int(people.max()) + 1)
        batch = {"x": x, "people": torch.tensor(people)}
        train_network(
            self.net,
            lambda i: batch,
            lambda net, batch: {"total": cross_entropy(net(batch["x"]), batch["people"])},
            torch.optim.SGD(parameter_groups(self.net, "net", 0.1), momentum=0.9),
            poly(20),
            20,
            checkpoint=train.workspace and train.workspace / "net.pt",
        )
        return self

    def colours(self, images):
        return images.array().mean((1, 2)).astype(np.float32) / 255

    def distances(self, probe, gallery):
        weight = self.net.weight.detach().numpy().T
        return cdist(self.colours(probe) @ weight, self.colours(gallery) @ weight)
'''


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


@pytest.fixture
def campaign(tmp_path):
    def write(*lines: str) -> Path:
        path = tmp_path / "own.campaign"
        path.write_text("\n".join(lines))
        return path

    return write


class TestBudget:
    @pytest.mark.parametrize("text", ["soon", "", "0s", "5", "3 m", "1m1h", "٣m"])
    def test_no_time(self, bench, text) -> None:
        output = bench("run", "--all", "--budget", text)
        assert (output.code, output.err.count("\n")) == (2, 1)
        assert "14m" in output.err

    @pytest.mark.parametrize(("seconds", "reserve"), [(3600, 20), (200, 10), (60, 3), (4, 2)])
    def test_what_is_kept_for_writing(self, monkeypatch, seconds, reserve) -> None:
        monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: 1000.0))
        found = budget.Budget.of(seconds)
        assert (found.stop, found.cut) == (1000 + seconds - reserve, 1000 + seconds - reserve / 2)

    def test_what_does_not_look_at_the_time_is_cut(self) -> None:
        before = signal.getsignal(signal.SIGALRM)
        start = time.monotonic()
        with pytest.raises(budget.OutOfTime), budget.limited(0.4):
            time.sleep(30)
        assert time.monotonic() - start < 20
        assert signal.getsignal(signal.SIGALRM) is before
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)

    def test_the_earlier_of_two_holds(self) -> None:
        with budget.limited(1000), budget.limited(100):
            assert 90 < budget.left() < 100
            with budget.limited(5000):
                assert budget.left() < 100
        assert budget.left() == float("inf")

    def test_cells_that_are_left_are_run_later(self, bench, clock, tmp_path, monkeypatch) -> None:
        put = Store.put

        def slow(*arguments) -> None:
            clock.now += 20
            put(*arguments)

        monkeypatch.setattr(Store, "put", slow)
        command = ("run", "-m", "bicubic+l2", "-d", SMALL, "--results", tmp_path / "r", "--jobs", 1, "--budget", "100s")
        first = bench(*command)
        done = first.out.count("rank-1")
        assert 3 <= done <= 5, "of 95 seconds each takes 20 and a little"
        assert (first.code, f"{10 - done} cells left" in first.err) == (budget.EXIT_CODE, True)
        codes = [first.code]
        while codes[-1]:
            codes.append(bench(*command).code)
            assert len(codes) < 9
        assert len(Store(tmp_path / "r").read_all()[0]) == 10

    def test_a_cell_trained_in_many_sittings_is_the_cell_of_one(self, bench, request, tmp_path, one_thread) -> None:
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins" / "sitter.py").write_text(TRAINED)
        command = ["run", "-m", "sitter", "-d", SMALL, "--splits", 0, "--jobs", 1, "--plugins", tmp_path / "plugins"]
        assert bench(*command, "--results", tmp_path / "one").code == 0
        request.getfixturevalue("clock")
        sittings = 1
        while bench(*command, "--results", tmp_path / "many", "--budget", "10s").code == budget.EXIT_CODE:
            sittings += 1
            assert len(Store(tmp_path / "many").read_all()[0]) == 0
        assert sittings > 2
        one, many = (Store(tmp_path / name) for name in ("one", "many"))
        (cell,) = (result.cell for result in one.read_all()[0])
        found = [store.distances(cell) for store in (one, many)]
        assert len(found[0]) >= 1
        assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


class TestTraining:
    def test_one_update_a_sitting_equals_left_alone(self, tmp_path) -> None:
        left_alone, path = net(), tmp_path / "training.pt"
        curves = fit(left_alone)
        for sitting in range(1, 8):
            model = net()
            ends = nullcontext() if sitting == 7 else pytest.raises(budget.OutOfTime)
            with budget.shared(budget.Budget(stop=0.0, cut=math.inf)), ends:
                found = fit(model, checkpoint=path, checkpoint_every=100)
            assert torch.load(path)["step"] == sitting
        assert equal(left_alone, model)
        assert found == curves

    def test_no_update_is_begun_that_would_come_too_late(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(budget, "left", lambda: 10.0)
        monkeypatch.setattr("bench.learning.training.time.perf_counter", iter(range(0, 10_000, 15)).__next__)
        with pytest.raises(budget.OutOfTime):
            fit(net(), checkpoint=tmp_path / "training.pt")
        assert torch.load(tmp_path / "training.pt")["step"] == 1


class TestFile:
    @pytest.mark.parametrize("name", ["gpu", "rehearsal"])
    def test_those_that_come_with_bench_hold_commands_and_names(self, name) -> None:
        steps = read_campaign(find_campaign(name))
        check_names(steps)
        kinds = [step.words[0] for step in steps]
        assert kinds[:3] == ["pytest", "run", "run"] if name == "gpu" else ["pytest", "run", "pretrain"]

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
        states = [[line.split()[0] for line in out.splitlines()[-4:]] for out in (first.out, second.out)]
        assert states == [["done", "done", "failed", "done"]] * 2
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
        assert [line.split()[0] for line in output.out.splitlines()[-2:]] == ["done", "left"]
        assert bench(*command).code == 0

    def test_dry(self, bench, campaign, tmp_path) -> None:
        path = campaign("pytest --version", f"run -m bicubic+l2 -d {SMALL} --splits 0")
        output = bench("run", "--campaign", path, "--results", tmp_path / "r", "--dry-run")
        assert f"would run bicubic+l2 {SMALL} split 0" in output.out
        assert not list(tmp_path.rglob("*.json"))


class TestPack:
    def test_images_stay_out_of_git(self, tmp_path, capsys) -> None:
        assert pack_campaign.main([str(ROOT / "packed"), "--campaign", "rehearsal"]) == 2
        assert "git work tree" in capsys.readouterr().err
        assert not (ROOT / "packed").exists()
        pack_campaign.refuse_in_git(ROOT / "build" / "packed")
        pack_campaign.refuse_in_git(tmp_path / "packed")

    def test_sets_of_a_campaign_are_found_on_disk(self, tmp_path, campaign) -> None:
        folder = tmp_path / "data" / "mine"
        folder.mkdir(parents=True)
        (folder / "people.csv").write_text("")
        with pytest.raises(UsageError):
            pack_campaign.images_of(read_campaign(campaign("run -m sing -d nowhere")), None, tmp_path)
        assert pack_campaign.images_of(read_campaign(campaign(f"run -m sing -d {SMALL}")), None, tmp_path) == {}

    def test_what_came_back_is_adopted(self, bench, tmp_path, monkeypatch) -> None:
        work, back = tmp_path / "work", tmp_path / "back"
        command = ("run", "-m", "bicubic+l2", "-d", SMALL, "--splits", "0-1", "--jobs", 1)
        work.mkdir()
        assert bench(*command, "--results", work / "store").code == 0
        (work / "net.pt").write_bytes(os.urandom(5000))
        monkeypatch.setattr(go, "PART", 512)
        go.pack(work, tmp_path / "out")
        parts = sorted((tmp_path / "out").iterdir())
        assert {p.name for p in parts} >= {"results.tar.xz.00", "results.tar.xz.01", "kept.tar.00", "kept.tar.09"}
        assert all(part.stat().st_size <= 512 for part in parts)
        whole = tmp_path / "whole"
        whole.write_bytes(b"".join(p.read_bytes() for p in parts if p.name.startswith("results")))
        with tarfile.open(whole) as tar:
            tar.extractall(back, filter="data")
        measured = tmp_path / "measured"
        measured.mkdir()
        monkeypatch.setattr(stores, "MEASURED", measured)
        output = bench("adopt", "--results", back / "store", "-d", SMALL)
        assert (output.code, output.out.split()[0]) == (0, "2")
        assert [r.cell.split for r in Store(measured).read_all()[0]] == [0, 1]

    @pytest.mark.slow
    def test_the_rehearsal_ends_on_a_bare_machine(self, tmp_path) -> None:
        packed, scratch, out = tmp_path / "packed", tmp_path / "scratch", tmp_path / "out"
        have = [word for text in (*pack_campaign.dependencies(), *pack_campaign.FOR_TESTS) for word in ("--have", text)]
        assert pack_campaign.main([str(packed), "--campaign", "rehearsal", *have]) == 0
        call = [sys.executable, packed / "go.py", "--campaign", "rehearsal", "--budget", "70s", "--output", out,
                "--scratch", scratch, "--jobs", "2"]  # fmt: skip
        for _ in range(20):
            start = time.monotonic()
            process = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, env={"HOME": str(tmp_path)})
            assert time.monotonic() - start < 90
            if process.returncode != budget.EXIT_CODE:
                break
        assert (process.returncode, process.stderr) == (0, "")
        assert len(Store(scratch / "work" / "store").read_all()[0]) == 15
        assert list(out.glob("kept.tar.*")), "the pre-trained weights"
