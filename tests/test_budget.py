"""Budgets: what ends when, what is kept, and that it is gone on with to the same result."""

import math
import signal
import threading
import time
from contextlib import nullcontext, suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench import budget
from bench.engine.store import Store
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


class TestBudget:
    @pytest.mark.parametrize("text", ["soon", "", "0s", "5", "3 m", "1m1h", "٣m"])
    def test_no_time(self, bench, text) -> None:
        output = bench("run", "--all", "--budget", text)
        assert (output.code, output.err.count("\n")) == (2, 1)
        assert "1h30m" in output.err

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

    def test_an_interrupt_that_is_lost_comes_again(self) -> None:
        start = time.monotonic()
        lost = 0
        with suppress(budget.OutOfTime), budget.limited(0.4):
            with suppress(budget.OutOfTime):  # as an object's end or a bare except would
                time.sleep(30)
            lost += 1
            time.sleep(30)
            lost += 1
        assert lost == 1
        assert time.monotonic() - start < 20
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)

    def test_what_ends_a_command_is_not_interrupted(self, monkeypatch) -> None:
        monkeypatch.setattr(budget, "AGAIN", 0.1)
        ended = []
        with suppress(budget.OutOfTime), budget.limited(0.2):
            with budget.shielded():
                time.sleep(0.8)
                ended.append("what is shielded")
            time.sleep(30)
            ended.append("what is not")
        assert ended == ["what is shielded"]

    def test_an_outer_budget_that_is_over_leaves_a_moment(self) -> None:
        ended = []
        with suppress(budget.OutOfTime), budget.limited(0.4):
            with suppress(budget.OutOfTime), budget.limited(0.4):
                time.sleep(30)
            ended.append("what follows at once")
            time.sleep(30)
            ended.append("what takes longer")
        assert ended == ["what follows at once"]

    def test_a_thread_keeps_to_it_too(self) -> None:
        def look() -> None:
            with budget.limited(100):
                found.append(budget.left())

        found: list[float] = []
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert 90 < found[0] < 100
        assert budget.left() == float("inf")

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
