"""DGD's pre-training: its batches, phases and averages worked by hand, and killed wherever that may happen."""

import json

import numpy as np
import pytest
import torch

from bench import budget
from bench.engine.cache import Cache
from bench.errors import BenchError
from bench.learning import pretrain
from bench.learning.ahead import ahead
from bench.learning.compute import seeded
from bench.learning.schedules import plateau
from bench.learning.weights import read_weights, save_weights
from bench.plugin.pretraining import Pretraining
from methods._dgd import DGD_FILE, MEAN, DGDNetwork
from methods._dgd_pretraining import FULL_RATE, LENGTHS, ColourCast, Length, Recipe, balanced_rows

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = "synthetic[identities=8]"
SPENT = budget.Budget(stop=0.0, cut=1e9)
PLAIN = {"shrink": 0, "colour": 0, "erase": 0, "label_smoothing": 0}


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


def run(folder, cache, name="dgd[average=0.5]", **options) -> bytes:
    job = pretrain.make_job(name, SMALL, None, None, cache)
    (path,) = pretrain.run(job, folder, 0, "smoke", "cpu", lambda line: None, **options)
    return path.read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory, cache) -> bytes:
    return run(tmp_path_factory.mktemp("alone"), cache)


def photographs(people: int = 4, each: int = 3, size=(160, 72)) -> Pretraining:
    """Random images, so that every crop can be told."""
    rng = np.random.default_rng(0)
    images = list(rng.integers(256, size=(people * each, *size, 3), dtype=np.uint8))
    return Pretraining(images, np.repeat(np.arange(people), each), 0, "smoke", "cpu", None, print)


@pytest.mark.parametrize("calls", [1, 3, 4, 6], ids="during update {}".format)
@pytest.mark.parametrize("every", [1, 2])
def test_killed_in_an_update(tmp_path, cache, alone, monkeypatch, calls, every) -> None:
    monkeypatch.setattr("methods._dgd_pretraining.CHECKPOINT_EVERY", every)
    left, loss = [calls], Recipe.loss

    def killed(self, network, batch):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return loss(self, network, batch)

    monkeypatch.setattr(Recipe, "loss", killed)
    with pytest.raises(Killed):
        run(tmp_path, cache)
    assert run(tmp_path, cache) == alone
    records = [json.loads(line)["update"] for line in (tmp_path / "dgd.jsonl").read_text().splitlines()]
    assert records == [1, 6]


@pytest.mark.parametrize("where", ["bench.learning.checkpoints.torch.save", "bench.files.os.replace"])
@pytest.mark.parametrize("calls", [1, 2, 4])
def test_killed_while_a_file_is_written(tmp_path, cache, alone, monkeypatch, where, calls) -> None:
    monkeypatch.setattr("methods._dgd_pretraining.CHECKPOINT_EVERY", 2)
    left = [calls]
    module, _, name = where.rpartition(".")
    kept = getattr(pytest.importorskip(module.rpartition(".")[0]), module.rpartition(".")[2])
    real = getattr(kept, name)

    def killed(*arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(where, killed)
        if calls == 4 and name == "save":
            run(tmp_path, cache)  # three checkpoints are all
        else:
            with pytest.raises(Killed):
                run(tmp_path, cache)
    assert run(tmp_path, cache) == alone


def test_killed_before_the_weights_are_written(tmp_path, cache, alone, monkeypatch) -> None:
    def killed(*arguments, **about):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("bench.learning.weights.save_weights", killed)
        with pytest.raises(Killed):
            run(tmp_path, cache)
    assert run(tmp_path, cache) == alone


def test_stopped_after_every_update_it_gets_there_too(tmp_path, cache, alone) -> None:
    for update in range(1, 6):
        with budget.shared(SPENT), pytest.raises(budget.OutOfTime, match=f"update {update} of 6"):
            run(tmp_path, cache)
    with budget.shared(SPENT):
        assert run(tmp_path, cache) == alone


def test_a_time_limit_keeps_a_checkpoint(bench, tmp_path) -> None:
    command = ("pretrain", "dgd", "-d", SMALL, "--output", tmp_path, "--profile", "smoke")
    with budget.shared(SPENT):
        output = bench(*command, "--time-limit", "1h30m")
    assert output.code == budget.EXIT_CODE
    assert output.err.count("\n") == 1
    assert "out of time at update 1 of 6; a checkpoint is kept" in output.err
    assert not list(tmp_path.glob("*.safetensors"))
    assert bench(*command).code == 0
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_a_checkpoint_of_other_parameters_is_another_training(tmp_path, cache, alone) -> None:
    with budget.shared(SPENT), pytest.raises(budget.OutOfTime):
        run(tmp_path, cache, "dgd[average=0.6]")
    assert run(tmp_path, cache) == alone


def test_the_same_seed_repeats_and_another_does_not() -> None:
    given, length = photographs(), LENGTHS["smoke"]
    before = torch.random.get_rng_state()
    first, again = (Recipe().batches(given, length)(3) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before), "nobody else's random numbers are drawn"
    other = Recipe().batches(given, length)(4)
    assert torch.equal(first["images"], again["images"])
    assert not torch.equal(first["images"], other["images"])


def test_batches_made_ahead_by_other_processes_are_the_same() -> None:
    batches = Recipe().batches(photographs(), LENGTHS["smoke"])
    get = ahead(batches, end=6, workers=2)
    for i in (2, 3, 4, 5):
        made, expected = get(i), batches(i)
        assert all(torch.equal(made[name], expected[name]) for name in expected)


def test_balanced_batches() -> None:
    rows_of = [np.arange(0, 10), np.arange(10, 12), np.arange(12, 20), np.arange(20, 21)]
    counts = np.zeros(4, int)
    for seed in range(200):
        rows = balanced_rows(rows_of, 3, 4, np.random.default_rng(seed)).reshape(3, 4)
        people = np.searchsorted([10, 12, 20], rows, side="right")
        assert (people == people[:, :1]).all(), "four of each"
        assert len(set(people[:, 0])) == 3, "three different people"
        counts[people[:, 0]] += 1
        for person, images in zip(people[:, 0], rows, strict=True):
            if len(rows_of[person]) >= 4:
                assert len(set(images)) == 4, "no image twice where there are enough"
    assert counts == pytest.approx(150, abs=30), "every person as often, however many images there are"


def test_unbalanced_batches_are_of_all_images_alike() -> None:
    recipe, length = Recipe(balanced=False), Length(images=800, warm_up=1, people=2, shots=2)
    batches = recipe.batches(photographs(people=3, each=5), length)
    people = torch.cat([batches(i)["people"] for i in range(40)])
    assert torch.bincount(people).tolist() == pytest.approx([53, 53, 53], abs=20)


def test_inputs_grow_after_so_many_images() -> None:
    length = Length(images=42, warm_up=1, people=2, shots=2)
    for recipe, small in ((Recipe(), 8), (Recipe(small_until=9), 3), (Recipe(small_until=0), 0)):
        batches = recipe.batches(photographs(), length)
        shapes = [tuple(batches(i)["images"].shape) for i in range(11)]
        assert shapes == [(4, 3, 96, 40)] * small + [(4, 3, 144, 56)] * (11 - small), "32 of 42 images, in batches of 4"


def test_the_rates_course() -> None:
    rate = plateau(10, rise=4, until=8)
    assert [rate(step) for step in range(10)] == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 0.5]
    recipe, length = Recipe(), LENGTHS["paper"]
    assert recipe.point(None, FULL_RATE, length) == 256_000
    rate = plateau(420_000 / 64, 200, 256_000 / 64)
    assert [rate(step) for step in (0, 99, 199, 4000)] == [1 / 200, 1 / 2, 1, 1]
    assert rate(5281) == pytest.approx(0.5, abs=1e-3), "half way down, at 338,000 images"
    assert 0 < rate(6562) < 1e-3


def test_the_plain_recipe_crops_and_mirrors() -> None:
    given = photographs()
    recipe = Recipe(small_until=0, **PLAIN)
    batch = recipe.batches(given, Length(images=8, warm_up=1, people=4, shots=1))(0)
    for image, person in zip(batch["images"], batch["people"].tolist(), strict=True):
        found = []
        for row in np.flatnonzero(given.identity == person):
            whole = torch.tensor(given.images[row]).permute(2, 0, 1)
            for flipped in (image, image.flip(2)):
                windows = whole.unfold(1, 144, 1).unfold(2, 56, 1).permute(1, 2, 0, 3, 4)
                found.append(bool((windows == flipped).flatten(2).all(2).any()))
        assert found.count(True) == 1


def test_each_change_of_an_image() -> None:
    image = torch.full((3, 160, 72), 100, dtype=torch.uint8)
    noise = torch.tensor(np.random.default_rng(0).integers(256, size=(3, 160, 72), dtype=np.uint8))

    def changed(x, **only):
        return Recipe(**{**PLAIN, **only}).augmentation()(x)

    with seeded(0):
        grey = changed(image)
        assert torch.equal(grey, torch.full((3, 144, 56), 100, dtype=torch.uint8))
        assert changed(noise, shrink=1).float().std() < 0.7 * changed(noise).float().std(), (
            "what is shrunk and back has lost detail"
        )
        erased = changed(image, erase=1)
        hole = (erased != grey).any(0)
        assert 0.03 * 0.9 < hole.float().mean() < 0.2 * 1.1
        torch.testing.assert_close(erased[:, hole].float().mean(1) / 255, torch.tensor(MEAN), atol=1 / 255, rtol=0)
        colours = torch.stack([changed(image, colour=1) for _ in range(20)])
        assert torch.equal(colours.amax((2, 3)), colours.amin((2, 3))), "a grey image stays of one colour"
        assert colours[:, :, 0, 0].float().std(0).min() > 5
        casts = torch.stack([ColourCast((0.8, 1.2))(torch.full((3, 2, 2), 0.5)) for _ in range(200)])
        assert casts.amin() == pytest.approx(0.4, abs=0.01)
        assert casts.amax() == pytest.approx(0.6, abs=0.01)


def test_smoothed_loss_and_accuracy() -> None:
    """Two people, scores 2 and 0: the loss of the right one is log(1 + e^-2), of the other 2 more."""
    batch = {"images": torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "people": torch.tensor([0, 1])}
    values = Recipe(label_smoothing=0.2).loss(lambda x: torch.tensor([[2.0, 0.0], [2.0, 0.0]]), batch)
    right = float(np.log(1 + np.exp(-2)))
    smoothed = [0.9 * right + 0.1 * (right + 2), 0.1 * right + 0.9 * (right + 2)]
    assert float(values["total"]) == pytest.approx(np.mean(smoothed))
    assert float(values["accuracy"]) == 0.5


def test_it_starts_from_a_file(tmp_path, cache) -> None:
    with seeded(5):
        network = DGDNetwork(8, 1 / 8)
    path = tmp_path / "start.safetensors"
    save_weights(path, network)
    given = photographs(people=8)
    started = Recipe(start=path).initial(8, given).state_dict()
    assert all(torch.equal(value, started[name]) for name, value in network.state_dict().items())
    fewer = Recipe(start=path).initial(7, given).state_dict()
    assert torch.equal(fewer["conv1.weight"], network.state_dict()["conv1.weight"])
    assert len(fewer["fc8.weight"]) == 7

    output = tmp_path / "output"
    name = f'dgd[start="{path}"]'
    with budget.shared(SPENT), pytest.raises(budget.OutOfTime):
        run(output, cache, name)
    with seeded(6):
        save_weights(path, DGDNetwork(8, 1 / 8))
    with pytest.raises(BenchError, match="is of another training"):
        run(output, cache, name)


def test_averaging_moves_weights_and_statistics(tmp_path, cache) -> None:
    """With `average` 0 the result is the last update's network, with 1 the first's."""
    results = {}
    for share in (0, 0.9, 1):
        folder = tmp_path / str(share)
        run(folder, cache, f"dgd[average={share}]")
        results[share] = read_weights(folder / DGD_FILE)
    for name in ("conv1.weight", "conv1_bn.running_mean", "fc8.bias"):
        first, middle, last = (results[share][name] for share in (1, 0.9, 0))
        assert (middle - first).norm() < (last - first).norm()
        assert (middle - last).norm() < (last - first).norm()
