"""Batch normalisation with statistics per group: against torch's own, group by group."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import BenchError
from bench.learning.compute import PLAIN, seeded
from bench.learning.schedules import parameter_groups
from methods._dgd import DGDNetwork
from methods._finetuning import Groups, extract
from methods._grouped_norm import GroupedNorm, group_norms, moments_of


def norm() -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(2)
    made.weight.data, made.bias.data = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 3.0])
    return made


def test_each_image_is_normalised_by_its_group() -> None:
    statistics = [
        (torch.tensor([1.0, 2.0]), torch.tensor([4.0, 1.0])),
        (torch.tensor([3.0, 0.0]), torch.tensor([1.0, 9.0])),
    ]
    grouped = GroupedNorm(norm(), statistics)
    x = torch.randn(3, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    found = grouped(x, torch.tensor([1, 0, 1]))
    for row, group in enumerate([1, 0, 1]):
        expected = norm().eval()
        expected.running_mean, expected.running_var = statistics[group]
        torch.testing.assert_close(found[row : row + 1], expected(x[row : row + 1]))


def test_the_unknown_group_has_the_statistics_of_all() -> None:
    a, b = torch.tensor([1.0, 3.0]), torch.tensor([7.0, 9.0])
    pairs = [(part.mean()[None], part.var(correction=0)[None]) for part in (a, b)]
    grouped = GroupedNorm(nn.BatchNorm1d(1), pairs)
    both = torch.cat([a, b])
    mean, variance = grouped.moments(-1)
    assert (float(mean), float(variance)) == pytest.approx((float(both.mean()), float(both.var(correction=0))))


@pytest.mark.parametrize("mean", [0.0, 100.0, 1000.0])
def test_groups_that_hardly_differ_have_their_variance_together(mean) -> None:
    """Far from zero too, where the mean of squares less the square of the mean has no digit left."""
    one = (torch.tensor([mean]), torch.tensor([1e-4]))
    grouped = GroupedNorm(nn.BatchNorm1d(1), [one, one])
    assert float(grouped.moments(-1)[1]) == pytest.approx(1e-4)


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
    group_norms(network, [moments])
    features = network.eval().features(images, torch.zeros(24, dtype=torch.int64))
    # Up to the factor n / (n - 1) that torch's running variances carry.
    torch.testing.assert_close(features.mean(0), torch.zeros(32), rtol=0, atol=0.03)
    torch.testing.assert_close(features.var(0), torch.ones(32), rtol=0, atol=0.06)


def test_groups_are_extracted_apart(network) -> None:
    with seeded(2):
        shown = [torch.rand(4, 3, 144, 56), 0.3 * torch.rand(4, 3, 144, 56)]
    moments = [moments_of(network, lambda copy, rows, x=x: copy.features(x[rows]), len(x), PLAIN) for x in shown]
    group_norms(network, moments)
    images = np.random.default_rng(0).integers(256, size=(3, 160, 72, 3), dtype=np.uint8)
    groups = np.array([1, 0, 1])
    together = extract(network, images, PLAIN, groups=groups)
    for row, group in enumerate(groups):
        alone = extract(network, images[row : row + 1], PLAIN, groups=groups[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-3, atol=1e-4)
        other = extract(network, images[row : row + 1], PLAIN, groups=np.array([1 - group]))
        assert np.abs(other - alone).max() > 0.1


def test_groups_by_role_and_camera() -> None:
    groups = Groups.of({"gallery": np.array(["b"] * 4), "probe": np.array([*"acacaaccxxx"])})
    assert groups.rows("probe", np.array(["c", "a", "y"])).tolist() == [2, 1, -1]
    assert groups.rows("gallery", np.array(["b", "a"])).tolist() == [0, -1]
    assert groups.rows("probe", np.array(["x"])).tolist() == [-1], "three images are too few"
    with pytest.raises(BenchError, match="need 4 training images"):
        Groups.of({"gallery": np.array(["b"] * 3)})


def test_the_solver_treats_grouped_norms_as_norms(network) -> None:
    before = {group["name"]: len(group["params"]) for group in parameter_groups(network, "dgd", 0.1, 5e-4)}
    images = torch.rand(4, 3, 144, 56)
    group_norms(network, [moments_of(network, lambda copy, rows: copy.features(images[rows]), 4, PLAIN)])
    after = {group["name"]: len(group["params"]) for group in parameter_groups(network, "dgd", 0.1, 5e-4)}
    assert after == before


def test_frozen_statistics_stay(network) -> None:
    network.frozen = True
    before = network.conv1_bn.running_mean.clone()
    network.train()
    assert network.training
    network(torch.rand(2, 3, 144, 56))
    assert torch.equal(network.conv1_bn.running_mean, before)
