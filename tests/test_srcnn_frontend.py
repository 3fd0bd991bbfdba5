"""The SRCNN front-end: where it starts, what fine-tuning gains, and its way through anchors, sigma and fusion."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from bench.engine.cache import Cache
from bench.engine.data import load
from bench.plugin.base import Pretraining, Upscaling
from bench.plugin.spec import dataset_spec
from bench.plugin.weights_files import describe
from bench.protocol.resize import resize_all, shrink
from bench.protocol.splits import folds, make_split
from methods._srcnn import SRCNN
from methods.srcnn import SuperResolution, luma
from tests.test_srcnn import release_layout

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (64, 24)
THIRD = Fraction(1, 3)


def drawn(n: int = 12) -> list[np.ndarray]:
    """Images with edges: rectangles on a plain ground."""
    rng = np.random.default_rng(3)
    images = []
    for _ in range(n):
        image = np.full((64, 24, 3), rng.integers(60, 200, 3), np.uint8)
        for _ in range(6):
            top, left = rng.integers(56), rng.integers(18)
            image[top : top + rng.integers(4, 20), left : left + rng.integers(3, 9)] = rng.integers(0, 256, 3)
        images.append(image)
    return images


def case(**more) -> Upscaling:
    return Upscaling(drawn(), SIZE, THIRD, 5, "smoke", **more)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = (luma(a).double() - luma(b).double()).square().mean((1, 2, 3))
    return float((-10 * torch.log10(error)).mean())


def test_the_seed_fixes_everything() -> None:
    low = [shrink(image, THIRD) for image in drawn()]
    first, again, other = (SuperResolution().fit(replace(case(), seed=s)).upscale(low, SIZE) for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_images_are_up_scaled_in_the_precision_of_the_training(monkeypatch) -> None:
    """Not in TF32, which torch lets a GPU use by itself."""
    seen = []
    enhance = SRCNN.enhance

    def watched(network, rgb):
        seen.append(torch.backends.cudnn.allow_tf32)
        return enhance(network, rgb)

    monkeypatch.setattr(SRCNN, "enhance", watched)
    SuperResolution(steps=1).fit(case()).upscale([shrink(drawn(1)[0], THIRD)], SIZE)
    assert seen == [False]


def test_no_update_from_scratch_is_bicubic_but_for_the_noise() -> None:
    low = [shrink(image, THIRD) for image in drawn()]
    out = SuperResolution(scratch=True, steps=0).fit(case()).upscale(low, SIZE)
    assert psnr(out, resize_all(low, SIZE)) > 40


def test_training_beats_bicubic() -> None:
    low = [shrink(image, THIRD) for image in drawn()]
    frontend = SuperResolution(scratch=True, steps=60, batch=4).fit(case())
    assert psnr(frontend.upscale(low, SIZE), resize_all(drawn(), SIZE)) > psnr(
        resize_all(low, SIZE), resize_all(drawn(), SIZE)
    )
    assert frontend.initialisation_ == "from scratch, 0.125 of the filters, seed 5"


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    low = [shrink(image, THIRD) for image in drawn()]
    first = SuperResolution().fit(case(workspace=tmp_path))
    kept = (tmp_path / "srcnn.pt").stat().st_mtime_ns
    again = SuperResolution().fit(case(workspace=tmp_path))
    assert (tmp_path / "srcnn.pt").stat().st_mtime_ns == kept
    assert np.array_equal(first.upscale(low, SIZE), again.upscale(low, SIZE))
    assert first.curves_ == again.curves_


def test_the_release_is_preferred_where_it_is_found(tmp_path) -> None:
    start = SuperResolution(steps=0).fit(replace(case(), profile="quick"))
    assert start.initialisation_.startswith("x3.safetensors sha256 ")
    for n in (2, 3, 4):
        savemat(tmp_path / f"x{n}.mat", release_layout(SRCNN().state_dict()))
    start = SuperResolution(steps=0).fit(replace(case(), profile="quick", weights=tmp_path))
    assert start.initialisation_ == describe(tmp_path / "x3.mat")


def test_pretraining_repeats_and_a_killed_one_ends_alike(tmp_path) -> None:
    photographs = [np.random.default_rng(i).integers(256, size=(70, 60, 3), dtype=np.uint8) for i in range(2)]

    def pretrained(folder: str, steps: int, stop: bool = False) -> dict[str, SRCNN]:
        def report(line: str) -> None:
            if stop and line.startswith("x3: update 4 of"):
                raise KeyboardInterrupt

        given = Pretraining(photographs, None, 1, "smoke", "cpu", tmp_path / folder, report)
        return SuperResolution(steps=steps, batch=2, sub_image=21).pretrain(given)

    first, again, other = pretrained("a", 4), pretrained("b", 4), pretrained("c", 3)
    with pytest.raises(KeyboardInterrupt):
        pretrained("d", 4, stop=True)
    assert set(first) == {"x2", "x3", "x4"}
    for name, network in first.items():
        state = network.state_dict()
        for same in (again, pretrained("d", 4)):
            assert all(torch.equal(state[k], v) for k, v in same[name].state_dict().items())
        assert not torch.equal(state["conv1.weight"], other[name].conv1.weight)


def test_it_runs_without_further_set_up(bench, tmp_path) -> None:
    arguments = ("-d", "synthetic[identities=24]", "--splits", "0", "--results", tmp_path, "--profile", "quick")
    for method in ("srcnn+xqda", "srcnn+xqda[scratch]"):
        assert bench("run", "-m", method, *arguments, "--dry-run").code == 0


@pytest.mark.usefixtures("contract_holds")
@pytest.mark.parametrize("method", ["xqda", "nfst"])
def test_three_anchors_are_trained_fused_and_sigma_cross_validated(bench, tmp_path, method) -> None:
    arguments = ("-d", "synthetic[identities=24]", "--splits", "0", "--results", tmp_path, "--jobs", 1)
    output = bench("run", "-m", f"srcnn+{method}", *arguments, "--profile", "smoke")
    assert output.code == 0, output.err
    content = json.loads(next(tmp_path.glob("*/*/split0*.json")).read_text())
    assert content["cell"]["profile"] == "smoke"
    assert content["cell"]["weights"] == []
    content = content["record"]
    assert content["fusion"] == "weighted"
    assert set(content["subsets"]) == {"1/2", "1/3", "1/4", "1/2+1/3", "1/2+1/4", "1/3+1/4", "1/2+1/3+1/4"}
    assert content["cost"]["sigma_seconds"] > 0
    assert {a: list(t) for a, t in content["initialisation"].items()} == {a: ["srcnn"] for a in ("1/2", "1/3", "1/4")}
    assert content["curves"]["1/2"]["srcnn"]["step"] == [0, 4]


@pytest.mark.data
@pytest.mark.parametrize("ratio", [Fraction(1, 2), Fraction(1, 4)])
def test_fine_tuning_gains_on_held_out_training_people(data_root, tmp_path, ratio) -> None:
    """MLR-VIPeR, split 0: bicubic < ImageNet's weights < fine-tuned, by PSNR."""
    weights = data_root.parent / "weights"
    if not (weights / "srcnn").is_dir():
        pytest.skip(f"no SRCNN weights in {weights}")
    data = load(dataset_spec("mlr_viper"), data_root, 0, Cache(tmp_path))
    train, held_out = folds(make_split(data.identities, 0, 0).train, 5, 0, 0)[0]

    def sharp(people) -> list[np.ndarray]:
        return [data.images[i] for i in np.flatnonzero(np.isin(data.identity, people) & ~data.probe)]

    target, low = sharp(held_out), [shrink(image, ratio) for image in sharp(held_out)]
    given = Upscaling(sharp(train), (128, 48), ratio, 1, "quick", weights=weights)
    tuned, plain = (SuperResolution(steps=steps).fit(given) for steps in (50, 0))
    images = [resize_all(low, (128, 48)), plain.upscale(low, (128, 48)), tuned.upscale(low, (128, 48))]
    bicubic, before, after = (psnr(image, resize_all(target, (128, 48))) for image in images)
    assert bicubic + 0.5 < before < after
    assert tuned.initialisation_.startswith(f"x{ratio.denominator}.mat sha256 ")
