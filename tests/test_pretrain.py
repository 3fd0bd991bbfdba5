"""Weights made from one's own images: what is trained on, resuming, and that the files are found and loaded."""

import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from bench.cli.values import parse_duration
from bench.engine.cache import Cache
from bench.errors import UsageError
from bench.learning import pretrain
from bench.learning.weights import read_weights
from bench.plugin.pretraining import Pretraining
from bench.plugin.weights_files import describe, find_weights, missing_weights
from methods._dgd import DGD_FILE, DGDNetwork
from methods._srcnn import SRCNN
from methods.srcnn import SuperResolution

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = "synthetic[identities=8]"


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs" / "deep"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(256, size=(60, 64, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    (folder / "notes.txt").write_text("no image")
    return folder.parent


def test_dgd_from_a_data_set(bench, tmp_path) -> None:
    output = bench("pretrain", "dgd", "-d", SMALL, "--output", tmp_path, "--profile", "smoke")
    assert output.code == 0, output.err
    path, log = tmp_path / DGD_FILE, tmp_path / "dgd.jsonl"
    assert set(tmp_path.iterdir()) == {path, log}, "checkpoints go once the file is written"
    first, last = map(json.loads, log.read_text().splitlines())
    assert (first["update"], last["update"], last["images"]) == (1, 6, 48)
    assert first["loss"] == pytest.approx(np.log(8), rel=0.1), "eight people, fc8 starts near zero"
    assert 0 <= last["accuracy"] <= 1
    assert last["images_per_second"] > 0
    weights = read_weights(path)
    assert weights["fc8.weight"].shape[0] == 8
    assert {k.removesuffix("_bn.num_batches_tracked") for k in weights} >= {"conv1", "fc7"}
    assert f"trained on {SMALL}, all its people" in describe(path)
    network = DGDNetwork(8, 1 / 8)
    network.load_state_dict(weights)


def test_parameters_take_the_place_of_the_profiles(tmp_path) -> None:
    lines: list[str] = []
    job = pretrain.make_job("dgd[images=9,people=3,shots=1]", SMALL, None, None, Cache(tmp_path / "cache"))
    pretrain.run(job, tmp_path, 0, "smoke", "cpu", lines.append)
    assert lines[0].startswith("update 1 of 3,")


def test_two_processes_never_train_the_same(tmp_path, monkeypatch) -> None:
    job = pretrain.make_job("dgd", SMALL, None, None, Cache(tmp_path / "cache"))
    command = (job, tmp_path / "w", 0, "smoke", "cpu", print)

    def meanwhile(_given):
        with pytest.raises(UsageError, match="another process is at this training"):
            pretrain.run(*command)
        return {}

    monkeypatch.setattr(type(job.trained), "pretrain", lambda _, given: meanwhile(given))
    assert pretrain.run(*command) == pretrain.run(*command) == []


def test_another_broken_plugin_is_no_hindrance(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken.py").write_text("import bench\nclass B(bench.Method):\n    name = 'b'\nraise SystemExit\n")
    monkeypatch.setenv("BENCH_PLUGINS", str(tmp_path))
    assert pretrain.make_job("dgd", SMALL, None, None, Cache(tmp_path / "cache")).trained.name == "dgd"


def test_srcnn_from_any_images_serves_in_the_releases_place(bench, tmp_path, photographs) -> None:
    output = bench("pretrain", "srcnn", "--images", photographs, "--output", tmp_path / "w", "--profile", "smoke")
    assert output.code == 0, output.err
    assert "3 images" in output.out
    assert [p.name for p in sorted((tmp_path / "w").glob("*.safetensors"))] == [f"x{n}.safetensors" for n in (2, 3, 4)]
    records = [json.loads(line) for line in (tmp_path / "w" / "srcnn.jsonl").read_text().splitlines()]
    assert [(r["network"], r["update"]) for r in records] == [(f"x{n}", update) for n in (2, 3, 4) for update in (1, 5)]
    assert find_weights("x3.mat", tmp_path / "w") == tmp_path / "w" / "x3.safetensors"
    assert missing_weights(SuperResolution(), tmp_path / "w", "quick") is None
    SRCNN("valid", 1 / 8).load_state_dict(read_weights(tmp_path / "w" / "x2.safetensors"))


def test_sub_images_are_those_of_the_image_and_their_input_is_blurred(tmp_path) -> None:
    """On a grey ramp, shrinking and up-scaling change nothing away from borders: input and target agree."""
    ramp = np.repeat(np.arange(80, dtype=np.uint8)[None, :, None], 80, 0).repeat(3, 2) * 2
    given = Pretraining([ramp], None, 0, "smoke", "cpu", tmp_path, print)
    method = SuperResolution(batch=4, sub_image=21)
    for n in (2, 3, 4):
        batch = method._sub_images(given, Fraction(1, n))(0)
        assert batch["input"].shape == (4, 1, 21, 21)
        assert batch["target"].shape == (4, 1, 5, 5)
        assert (batch["input"][:, :, 8:-8, 8:-8] - batch["target"]).abs().max() < 2.1 / 255


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("xqda", "-d", SMALL), "xqda has nothing to pre-train"),
        (
            ("dgdd", "-d", SMALL),
            "no method or front-end to pre-train 'dgdd': did you mean 'dgd'? there is dgd, srcnn",
        ),
        (("dgd[pace=1]", "-d", SMALL), "no parameter of dgd 'pace'"),
        (("dgd[images=many]", "-d", SMALL), "the 'images' parameter of dgd must be"),
        (("dgd[people=9]", "-d", SMALL), "batches are of 9 people and there are 8: give people=8"),
        (("dgd", "-d", SMALL, "--start", "nowhere.pt"), "the weights file nowhere.pt does not exist"),
        (("srcnn", "--images", ".", "--start", "x2.mat"), "no parameter of srcnn 'start'"),
        (("dgd", "-d", SMALL, "--time-limit", "soon"), "a time such as 90s, 30m or 1h30m is expected, not 'soon'"),
        (("dgd", "-d", SMALL, "--time-limit", "0m"), "a time such as"),
        (("dgd",), "either --dataset NAME or --images FOLDER"),
        (("dgd", "-d", SMALL, "--images", "."), "either --dataset NAME or --images FOLDER"),
        (("srcnn", "--images", "nowhere"), "nowhere is not a folder"),
        (("srcnn", "--images", "results/published"), "no image below results/published"),
        (("srcnn", "-d", "viper"), "viper needs its images"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(bench, tmp_path, arguments, message) -> None:
    output = bench("pretrain", *arguments, "--output", tmp_path, "--profile", "smoke")
    assert output.code in (2, 3)
    assert message in output.err
    assert output.err.count("\n") == 1


def test_dgd_needs_people(bench, tmp_path, photographs) -> None:
    output = bench("pretrain", "dgd", "--images", photographs, "--output", tmp_path, "--profile", "smoke")
    assert (output.code, output.err.count("\n")) == (2, 1)
    assert "tell people apart" in output.err


def test_images_too_small_for_a_sub_image(bench, tmp_path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    output = bench("pretrain", "srcnn", "--images", tmp_path, "--output", tmp_path / "w", "--profile", "smoke")
    assert (output.code, output.err.count("\n")) == (3, 1)
    assert "images of at least 42x42 pixels" in output.err


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90s", "30m", "2h", "1h30m5s")] == [90, 1800, 7200, 5405]
