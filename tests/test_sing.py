"""SING: its loss by hand, its gradients, its batches, resuming, and its way through the harness."""

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
from methods._dgd import DGDNetwork, normalise
from methods.sing import SING, SINGNetwork

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = "synthetic[identities=8]"


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Train:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    data = load(dataset_spec(SMALL), None, 0, cache)
    view = build_view(data, method_spec("sing"), cache, 0, 0, np.arange(8), ratios=(ANCHORS[1],))
    sides = (view.images(side, ANCHORS[1], np.arange(8)) for side in ("gallery", "probe", "shrunk"))
    return Train(*sides, ANCHORS[1], 3, "smoke", "cpu")


class Given(torch.nn.Module):
    """Scores and enhanced images written down beforehand."""

    def forward(self, hr, low, parts):
        probabilities = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9], [0.8, 0.2], [0.5, 0.5], [0.5, 0.5]])
        enhanced = torch.zeros(4, 3, 1, 2)
        enhanced[:2] = hr
        enhanced[0, 0, 0, 0] += 0.2  # squared error 0.04 in the first image
        enhanced[1, 2, 0, :] -= 0.1  # 0.01 + 0.01 in the second
        return probabilities.log(), enhanced


BATCH = {
    "hr": torch.full((2, 3, 1, 2), 0.5),
    "low": torch.zeros(4, 3, 3, 4),
    "people": torch.tensor([0, 1, 1, 0, 0, 1]),
}


def test_the_loss_by_hand() -> None:
    terms = SING(alpha=3.0, sr_scale=1.0).loss(Given(), BATCH)
    hr, synthetic, lr = (-np.log(p).mean() for p in ([0.5, 0.75], [0.9, 0.8], [0.5, 0.5]))
    expected = {"hr": hr, "synthetic": synthetic, "lr": lr, "reid": hr + synthetic + lr, "sr": (0.04 + 0.02) / 2}
    expected["total"] = expected["reid"] + 3 * expected["sr"]
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, 1e-3 * 0.03),
        ({"sr_scale": 1.0}, 0.03),
        ({"sr_scale": 1.0, "sr_reduction": "half"}, 0.015),
        ({"sr_scale": 1.0, "sr_reduction": "mean"}, 0.03 / 6),
        ({"sr_scale": 1.0, "sr_range": "255"}, 0.03 * 255**2),
        ({"author": True}, 0.015 * 255**2),
    ],
)
def test_reductions_and_ranges_of_the_sr_loss(parameters, expected) -> None:
    _, enhanced = Given()(BATCH["hr"], BATCH["low"], None)
    assert float(SING(**parameters).sr_loss(enhanced[:2], BATCH["hr"])) == pytest.approx(expected, rel=1e-4)


def test_one_pass_through_dgd_for_all_streams() -> None:
    network = SINGNetwork(4, 1 / 8, 0.0, "y")
    hr, low = torch.rand(2, 3, 144, 56), torch.rand(4, 3, 160, 72)
    sizes = []
    network.reid.register_forward_hook(lambda _, inputs, __: sizes.append(tuple(inputs[0].shape)))
    scores, enhanced = network(hr, low)
    assert sizes == [(6, 3, 144, 56)]
    assert scores.shape == (6, 4)
    assert enhanced.shape == (4, 3, 144, 56)
    network.eval()
    with torch.no_grad():
        alone = network.reid(normalise(network.enhance(low)))
        torch.testing.assert_close(network(hr, low)[0][2:], alone, rtol=1e-4, atol=1e-5)


def test_reid_and_sr_both_shape_the_sr_network(given) -> None:
    method = SING(steps=2).fit(given)
    norms = method.curves_["term_gradient_norm"]["sr"]
    assert all(norms[term][0] > 0 for term in ("reid", "sr", "synthetic", "lr"))
    before = SING(steps=0).fit(given).network_.sr
    assert not torch.equal(before.conv1.weight, method.network_.sr.conv1.weight)


def test_re_id_alone_moves_the_sr_network_where_alpha_is_zero(given) -> None:
    before, after = (SING(alpha=0.0, steps=steps).fit(given).network_.sr for steps in (0, 2))
    assert not torch.equal(before.conv1.weight, after.conv1.weight)


def test_without_the_synthetic_stream_there_is_no_sr_loss(given) -> None:
    curves = SING(no_synthetic_lr=True, steps=1).fit(given).curves_
    assert set(curves["loss"]) == {"hr", "lr", "reid", "total"}
    assert curves["loss"]["total"] == curves["loss"]["reid"]


@pytest.mark.parametrize("parameters", [{"colour": "rgb"}, {"pairing": "identity"}, {"author": True}])
def test_variants_train(given, parameters) -> None:
    method = SING(steps=1, **parameters).fit(given)
    assert np.isfinite(method.distances(given.probe, given.gallery)).all()
    rate = method.curves_["lr"]["sr"][0]
    assert rate == pytest.approx(1e-10 if "author" in parameters else 1e-5)


def test_a_killed_training_ends_as_one_left_alone(given, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("methods.sing.CHECKPOINT_EVERY", 2)
    alone = SING(steps=4).fit(given)
    passes = []

    def killed(network, x):
        passes.append(1)
        if len(passes) == 4:
            raise KeyboardInterrupt
        return forward(network, x)

    forward = DGDNetwork.forward
    monkeypatch.setattr(DGDNetwork, "forward", killed)
    with pytest.raises(KeyboardInterrupt):
        SING(steps=4).fit(replace(given, workspace=tmp_path))
    resumed = SING(steps=4).fit(replace(given, workspace=tmp_path))
    assert len(passes) == 4 + 2, "the checkpoint is of update 2"
    pairs = zip(resumed.network_.state_dict().values(), alone.network_.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert resumed.curves_ == alone.curves_


@pytest.mark.usefixtures("contract_holds")
def test_three_anchors_are_fused_and_the_record_names_their_start(bench, tmp_path) -> None:
    arguments = ("-d", "synthetic[identities=24]", "--splits", "0", "--results", tmp_path, "--jobs", 1)
    assert bench("run", "-m", "sing", *arguments, "--profile", "quick", "--dry-run").code == 0, "weights travel with it"
    output = bench("run", "-m", "sing", *arguments, "--profile", "smoke")
    assert output.code == 0, output.err
    content = json.loads(next(tmp_path.glob("*/*/split0*.json")).read_text())["record"]
    assert content["fusion"] == "weighted"
    assert set(content["sigma"].values()) == {0.25}
    assert all(t["sing"].startswith("from scratch, width 0.125") for t in content["initialisation"].values())
    assert set(content["curves"]["1/3"]["sing"]["term_gradient_norm"]) == {"sr"}
