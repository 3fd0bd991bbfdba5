"""The DGD method: where it starts, its batches' effect, resuming, and its way through anchors and fusion."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.engine.cache import Cache
from bench.engine.data import load
from bench.engine.view import build_view
from bench.plugin.base import Train
from bench.plugin.spec import dataset_spec, method_spec
from bench.protocol.fusion import ANCHORS
from methods._dgd import DGD_FILE, DGDNetwork, normalise
from methods._finetuning import centre, extract
from methods.dgd import DGD

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = "synthetic[identities=8]"


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Train:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    data = load(dataset_spec(SMALL), None, 0, cache)
    view = build_view(
        data,
        method_spec("bicubic+dgd"),
        cache,
        0,
        0,
        np.arange(8),
        ratios=(ANCHORS[0],),
    )
    sides = (view.images(side, ANCHORS[0], np.arange(8)) for side in ("gallery", "probe"))
    return Train(*sides, None, ANCHORS[0], 3, "smoke", "cpu")


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_separates_the_training_people(given, precision) -> None:
    method = DGD(steps=30, lr=0.05, dropout=0.0, precision=precision).fit(given)
    losses = method.curves_["loss"]["total"]
    assert losses[0] == pytest.approx(np.log(8), rel=0.1), "eight people, fc8 starts near zero"
    assert losses[-1] < 0.9 * losses[0]


def test_distances_are_euclidean_between_features_of_the_centres(given) -> None:
    method = DGD(precision="float32").fit(given)
    array = given.gallery.array()[:3]
    x = normalise(torch.from_numpy(array[:, 8:152, 8:64].copy()).permute(0, 3, 1, 2) / 255)
    with torch.no_grad():
        features = method.network_.features(x).numpy()
    np.testing.assert_allclose(extract(method.network_, array, method.compute_), features, rtol=1e-3, atol=1e-4)
    distance = method.distances(given.probe, given.gallery)
    assert distance.shape == (8, 8)
    own = method.distances(given.gallery, given.gallery)
    assert own[0, 1] == pytest.approx(float(np.linalg.norm(features[0] - features[1])), rel=1e-3)


def test_centre() -> None:
    image = torch.zeros(1, 3, 160, 72)
    image[:, :, 8:152, 8:64] = 1
    assert centre(image).shape == (1, 3, 144, 56)
    assert centre(image).all()


def test_a_killed_training_ends_as_one_left_alone(given, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("methods.dgd.CHECKPOINT_EVERY", 3)
    alone = DGD(steps=6).fit(given)
    batches_seen = []

    def killed(network, x):
        batches_seen.append(1)
        if len(batches_seen) == 5:
            raise KeyboardInterrupt
        return forward(network, x)

    forward = DGDNetwork.forward
    monkeypatch.setattr(DGDNetwork, "forward", killed)
    with pytest.raises(KeyboardInterrupt):
        DGD(steps=6).fit(replace(given, workspace=tmp_path))
    resumed = DGD(steps=6).fit(replace(given, workspace=tmp_path))
    assert len(batches_seen) == 5 + 3, "the checkpoint is of update 3"
    assert equal(resumed.network_, alone.network_)
    assert resumed.curves_ == alone.curves_


def test_it_runs_without_further_set_up(bench, tmp_path) -> None:
    arguments = ("-d", SMALL, "--splits", "0", "--results", tmp_path, "--dry-run")
    for method in ("bicubic+dgd", "bicubic+dgd[scratch]"):
        assert bench("run", "-m", method, *arguments, "--profile", "quick").code == 0
    assert bench("run", "-m", "bicubic+dgd", *arguments).code == 0, "drawn people take the smoke schedule"


@pytest.mark.usefixtures("contract_holds")
def test_anchors_differ_in_their_seed_and_are_fused(bench, tmp_path) -> None:
    arguments = ("-d", "synthetic[identities=24]", "--splits", "0", "--results", tmp_path, "--jobs", 1)
    output = bench("run", "-m", "bicubic+dgd", *arguments, "--profile", "smoke")
    assert output.code == 0, output.err
    content = json.loads(next(tmp_path.glob("*/*/split0*.json")).read_text())["record"]
    assert set(content["sigma"].values()) == {0.25}
    texts = [content["initialisation"][str(m)]["dgd"] for m in ANCHORS]
    assert all(text.startswith("from scratch, width 0.125, seed ") for text in texts)
    assert len(set(texts)) == 3
    assert not list(tmp_path.glob("distances/checkpoints/*"))


def test_pretrained_network_without_fine_tuning(given) -> None:
    method = DGD(steps=0).fit(replace(given, profile="quick"))
    assert method.initialisation_.startswith(f"{DGD_FILE} sha256 ")
    assert method.curves_ is None
    distance = method.distances(given.probe, given.gallery)
    assert np.argsort(distance, axis=1)[:, 0].tolist() != [0] * 8
    assert not method.network_.training
    own = extract(method.network_, given.probe.array(), method.compute_)
    np.testing.assert_allclose(given.probe.features(method.pretrained_), own, rtol=1e-5, atol=1e-5)
