"""Statistics of each camera: against torch's own batch normalisation, camera by camera."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import BenchError
from bench.learning.compute import PLAIN, seeded
from bench.learning.schedules import poly
from methods._camera_statistics import CameraStatistics, moments_of, together
from methods._dgd import DGDNetwork
from methods._finetuning import Stage, extract


def test_all_together_have_the_statistics_of_all_values() -> None:
    a, b = torch.tensor([1.0, 3.0]), torch.tensor([7.0, 9.0])
    groups = [{"bn": (part.mean()[None], part.var(correction=0)[None])} for part in (a, b)]
    both = torch.cat([a, b])
    mean, variance = together(groups)["bn"]
    assert (float(mean), float(variance)) == pytest.approx((float(both.mean()), float(both.var(correction=0))))


@pytest.fixture
def network() -> DGDNetwork:
    with seeded(0):
        return DGDNetwork(4, 1 / 8, 0.0)


def test_statistics_are_those_of_the_images_layer_after_layer(network) -> None:
    with seeded(1):
        images = torch.rand(24, 3, 144, 56)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    moments = moments_of(network, lambda copy, rows: copy.features(images[rows]), len(images), PLAIN)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    first = network.conv1(images)
    torch.testing.assert_close(moments["conv1_bn"][0], first.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    features = network.folded(moments).features(images)
    # Up to the factor n / (n - 1) that torch's running variances carry.
    torch.testing.assert_close(features.mean(0), torch.zeros(32), rtol=0, atol=0.03)
    torch.testing.assert_close(features.var(0), torch.ones(32), rtol=0, atol=0.06)


def test_people_who_stand_together_do_not_make_a_batch() -> None:
    norm = nn.BatchNorm1d(1)
    two_people = torch.tensor([[-1.0]] * 32 + [[1.0]] * 32)
    mean, variance = moments_of(norm, lambda copy, rows: copy(two_people[rows]), 64, PLAIN)[""]
    assert (float(mean), float(variance)) == pytest.approx((0.0, 1.0), abs=0.04)


def shown(images: torch.Tensor):
    return lambda network, rows: network.features(images[rows])


def test_each_camera_is_extracted_with_its_own(network) -> None:
    with seeded(2):
        day, night = torch.rand(4, 3, 144, 56), 0.3 * torch.rand(4, 3, 144, 56)
    roles = {"probe": (shown(torch.cat([day, night])), np.array([*"ddddnnnn"]))}
    statistics = CameraStatistics.of(network, roles, PLAIN)
    images = np.random.default_rng(0).integers(256, size=(3, 160, 72, 3), dtype=np.uint8)
    together = extract(network, images, PLAIN, shares=statistics.shares("probe", np.array([*"ndn"])))
    for row, camera, other in zip(range(3), "ndn", "dnd", strict=True):
        moments, wrong = statistics.moments["probe", camera], statistics.moments["probe", other]
        alone, mistaken = (
            extract(network, images[[row]], PLAIN, shares=[(np.array([0]), m)])[0] for m in (moments, wrong)
        )
        np.testing.assert_allclose(together[row], alone, rtol=1e-3, atol=1e-4)
        assert np.abs(mistaken - alone).max() > 0.1


def test_a_camera_of_few_training_images_has_the_statistics_of_all(network) -> None:
    images = shown(torch.rand(11, 3, 144, 56))
    roles = {"gallery": (images, np.array([*"bbbb"])), "probe": (images, np.array([*"acacaaccxxx"]))}
    statistics = CameraStatistics.of(network, roles, PLAIN)
    assert list(statistics.moments) == [("gallery", "b"), ("probe", "a"), ("probe", "c")]
    shares = {tuple(rows): moments for rows, moments in statistics.shares("probe", np.array([*"caxyc"]))}
    assert set(shares) == {(1,), (0, 4), (2, 3)}
    assert shares[1,] is statistics.moments["probe", "a"]
    assert shares[2, 3] is statistics.others
    with pytest.raises(BenchError, match="need 4 training images"):
        CameraStatistics.of(network, {"gallery": (images, np.array([*"bbb"]))}, PLAIN)


def test_streams_are_normalised_apart_for_cameras_only() -> None:
    images = torch.arange(6).reshape(6, 1)
    stage = Stage(steps=1, batch=2, accumulate=1, lr=0.1, schedule=poly)
    for kind, expected in {"batch": [[0, 1, 2, 3, 4, 5]], "camera": [[0, 1], [2, 3], [4, 5]]}.items():
        parts = replace(stage, batch_statistics=kind).normalised_together(images)
        assert [part.flatten().tolist() for part in parts] == expected


def test_frozen_statistics_stay(network) -> None:
    network.frozen = True
    before = network.conv1_bn.running_mean.clone()
    network.train()
    assert network.training
    network(torch.rand(2, 3, 144, 56))
    assert torch.equal(network.conv1_bn.running_mean, before)
